package dreambooth4j.model;

/**
 * How much of a text the text encoder reads.
 *
 * @param tokens tokens of the whole text, begin and end not counted
 * @param limit how many of them are read
 * @param cutOff the end of the text that is not read, as it is written; empty if all of it is read
 */
public record TokenCount(int tokens, int limit, String cutOff) {
  /** Whether a part is not read. */
  public boolean isCut() {
    return tokens > limit;
  }
}
