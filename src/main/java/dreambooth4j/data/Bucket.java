package dreambooth4j.data;

/** The size in pixels that a picture is scaled and cropped to; a batch holds one bucket only. */
public record Bucket(int width, int height) implements Comparable<Bucket> {
  /** By width, then height. */
  @Override
  public int compareTo(Bucket other) {
    return width != other.width
        ? Integer.compare(width, other.width)
        : Integer.compare(height, other.height);
  }

  /** {@code WIDTHxHEIGHT}. */
  @Override
  public String toString() {
    return width + "x" + height;
  }
}
