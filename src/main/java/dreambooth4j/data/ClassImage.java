package dreambooth4j.data;

import java.nio.file.Path;

/**
 * One class image, or what takes its place.
 *
 * @param prompt what it is trained with
 * @param repeats how often it comes before all others of its pool have come once
 * @param draw number of the draws by which it is always seen; negative where each step draws anew
 */
public record ClassImage(Path file, String prompt, int repeats, int draw) {
  /** One that each step draws anew. */
  public ClassImage(Path file, String prompt, int repeats) {
    this(file, prompt, repeats, -1);
  }

  /** Whether it is always seen by the same draws. */
  public boolean isFixed() {
    return draw >= 0;
  }
}
