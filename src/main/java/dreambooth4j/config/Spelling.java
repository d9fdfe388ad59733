package dreambooth4j.config;

/** Texts of users, and names of files made of them. */
final class Spelling {
  private Spelling() {}

  /** A text with one blank between its words and none around them. */
  static String words(String text) {
    return text.strip().replaceAll("\\s+", " ");
  }

  /**
   * A name for a file or folder: letters, digits and what is harmless between them; maybe empty.
   */
  static String fileName(String text) {
    return text.replaceAll("[^\\p{L}\\p{N}._-]+", "_").replaceAll("^[._]+", "");
  }
}
