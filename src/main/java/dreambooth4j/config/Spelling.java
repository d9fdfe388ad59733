package dreambooth4j.config;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;

/** Texts of users: the key that somebody probably meant, and names made of them. */
public final class Spelling {
  private Spelling() {}

  /** The nearest of the known words, if one is near enough to be worth a guess. */
  public static Optional<String> nearest(String word, Collection<String> known) {
    if (word.length() > 64) {
      return Optional.empty();
    }
    String lower = word.toLowerCase(Locale.ROOT).replace('-', '_');
    return known.stream()
        .min(Comparator.<String>comparingInt(k -> distance(lower, k)).thenComparing(k -> k))
        .filter(k -> distance(lower, k) <= Math.max(2, k.length() / 3));
  }

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

  /** Letters to insert, delete or replace to get from one word to the other (Levenshtein). */
  static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
