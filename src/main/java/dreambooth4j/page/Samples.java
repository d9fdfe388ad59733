package dreambooth4j.page;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The sample pictures of one prompt, in the order of their steps.
 *
 * @param name of the concept, or "validation"
 */
record Samples(String name, List<Sheet> sheets) {
  private static final String FOLDER = "samples";
  private static final Pattern SHEET = Pattern.compile("(\\d{6,9})-(.+)\\.png");

  /** Drawn after so many steps. */
  record Sheet(int step, Path file) {}

  /** Those in the folder of a run, by name. */
  static List<Samples> in(Path run) {
    Path folder = run.resolve(FOLDER);
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    Map<String, List<Sheet>> found = new TreeMap<>();
    try {
      for (Path file : FolderEntries.of(folder)) {
        Matcher sheet = SHEET.matcher(String.valueOf(file.getFileName()));
        if (sheet.matches()) {
          found
              .computeIfAbsent(sheet.group(2), name -> new ArrayList<>())
              .add(new Sheet(Integer.parseInt(sheet.group(1)), file));
        }
      }
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.DATA, "%s cannot be read: %s".formatted(folder, Problem.why(e)), e);
    }
    return found.entrySet().stream()
        .map(each -> new Samples(each.getKey(), each.getValue()))
        .toList();
  }

  /** The same with at most so many sheets, evenly taken, the first and the last among them. */
  Samples atMost(int count) {
    int all = sheets.size();
    if (all <= count) {
      return this;
    }
    List<Sheet> some = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      some.add(sheets.get((int) Math.round((double) i * (all - 1) / Math.max(1, count - 1))));
    }
    return new Samples(name, some);
  }
}
