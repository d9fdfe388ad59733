package dreambooth4j;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What somebody probably meant who misspelt a word or the path of a file. */
public final class Nearest {
  private static final int LONGEST = 64;

  private Nearest() {}

  /** The nearest of the known words, if one is near enough to be worth a guess. */
  public static Optional<String> word(String word, Collection<String> known) {
    String lower = word.toLowerCase(Locale.ROOT).replace('-', '_');
    return nearest(lower, known, 2);
  }

  /**
   * The file or folder that is there and whose path is nearest to one that is not: each of its
   * names in turn is there, or else taken for the nearest one in its folder.
   */
  public static Optional<Path> path(Path missing) {
    Path at = missing.getRoot();
    for (Path name : missing) {
      Path next = at == null ? name : at.resolve(name);
      if (!Files.exists(next)) {
        Optional<Path> meant = inFolderOf(next);
        if (meant.isEmpty()) {
          return meant;
        }
        next = meant.get();
      }
      at = next;
    }
    return Optional.ofNullable(at);
  }

  /** {@code ; did you mean X?} of {@link #path}; empty if nothing is near. */
  public static String hint(Path missing) {
    return path(missing).map("; did you mean %s?"::formatted).orElse("");
  }

  private static Optional<Path> inFolderOf(Path missing) {
    Path parent = missing.getParent();
    try {
      Path folder = parent == null ? missing.getFileSystem().getPath("") : parent;
      List<String> names =
          FolderEntries.of(folder).stream().map(each -> each.getFileName().toString()).toList();
      String name = missing.getFileName().toString();
      return nearest(name, names, Math.min(2, name.length() / 3)).map(missing::resolveSibling);
    } catch (IOException e) {
      return Optional.empty(); // it may not be listed
    }
  }

  private static Optional<String> nearest(String word, Collection<String> known, int atLeast) {
    if (word.length() > LONGEST) {
      return Optional.empty();
    }
    return known.stream()
        .min(Comparator.<String>comparingInt(k -> distance(word, k)).thenComparing(k -> k))
        .filter(k -> distance(word, k) <= Math.max(atLeast, k.length() / 3));
  }

  /** Letters to insert, delete or replace to get from one word to the other (Levenshtein). */
  private static int distance(String a, String b) {
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
