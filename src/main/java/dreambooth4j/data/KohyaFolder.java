package dreambooth4j.data;

import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A folder named {@code N_words}, in kohya's layout: each of its pictures comes N times an epoch,
 * and the words are the caption of those that have none. Numbers that begin with 0 or have more
 * than three digits are not repeats: people number and date their folders.
 */
record KohyaFolder(int repeats, String caption) {
  private static final Pattern NAME = Pattern.compile("([1-9]\\d{0,2})_(.*\\S.*)");

  /** The one that a picture lies in, directly under {@code root}; null if there is none. */
  static @Nullable KohyaFolder of(Path root, Path picture) {
    if (picture.getNameCount() <= root.getNameCount() + 1) {
      return null;
    }
    Matcher name = NAME.matcher(picture.getName(root.getNameCount()).toString());
    return name.matches()
        ? new KohyaFolder(Integer.parseInt(name.group(1)), name.group(2).strip())
        : null;
  }
}
