package dreambooth4j.data;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The pictures in a folder, by name, and what else lies there.
 *
 * @param pictures files with a picture's extension, sorted
 * @param skipped how many other entries there are, by reason; captions are not among them
 */
public record PictureFolder(List<Path> pictures, Map<String, Integer> skipped) {
  /**
   * Lists a folder; folders in it are not entered.
   *
   * @throws Problem if it cannot be listed or holds a picture in a format that we know and do not
   *     read, so that none is left out unnoticed
   */
  public static PictureFolder list(Path folder) {
    List<Path> pictures = new ArrayList<>();
    List<Path> texts = new ArrayList<>();
    Map<String, Integer> skipped = new TreeMap<>();
    for (Path entry : entries(folder)) {
      String extension = PictureFile.extension(entry);
      if (entry.getFileName().toString().startsWith(".")) {
        skipped.merge("hidden", 1, Integer::sum);
      } else if (Files.isDirectory(entry)) {
        skipped.merge("folder", 1, Integer::sum);
      } else if (PictureFile.UNREADABLE.contains(extension)) {
        throw PictureFile.unreadable(entry, PictureFile.formatName(extension));
      } else if (PictureFile.EXTENSIONS.contains(extension)) {
        pictures.add(entry);
      } else if (extension.equals("txt")) {
        texts.add(entry);
      } else {
        String reason = extension.isEmpty() ? "no extension" : "." + extension;
        skipped.merge("no picture (" + reason + ")", 1, Integer::sum);
      }
    }
    Set<Path> captions = new HashSet<>();
    pictures.forEach(picture -> captions.add(Caption.sidecar(picture)));
    for (Path text : texts) {
      if (!captions.contains(text)) {
        skipped.merge("caption without a picture", 1, Integer::sum);
      }
    }
    return new PictureFolder(List.copyOf(pictures), Collections.unmodifiableMap(skipped));
  }

  /** What was skipped, for people: "2 hidden, 1 folder"; empty if nothing was. */
  public String skippedInWords() {
    return String.join(
        ", ", skipped.entrySet().stream().map(e -> e.getValue() + " " + e.getKey()).toList());
  }

  private static List<Path> entries(Path folder) {
    if (!Files.isDirectory(folder)) {
      String what = Files.exists(folder) ? "is no folder" : "is not there";
      throw Problem.data("%s %s: give the folder that the pictures lie in".formatted(folder, what));
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.sorted().toList();
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, folder + " cannot be listed: " + Problem.why(e), e);
    }
  }
}
