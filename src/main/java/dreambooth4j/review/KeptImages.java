package dreambooth4j.review;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.data.PictureFolder;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Which pictures of a class folder somebody has looked at and kept: their names in {@code
 * .review/kept.json}.
 */
final class KeptImages {
  /** Hundreds of thousands of names. */
  private static final int MOST_BYTES = 16 << 20;

  private static final JsonMapper MAPPER = new JsonMapper();

  private final Path folder;
  private Set<String> names;

  private KeptImages(Path folder, Set<String> names) {
    this.folder = folder;
    this.names = names;
  }

  /**
   * Reads those of a class folder.
   *
   * @throws Problem if the file is there and cannot be read
   */
  static KeptImages of(Path folder) {
    return new KeptImages(folder, read(folder));
  }

  private static Set<String> read(Path folder) {
    Path file = file(folder);
    if (!Files.exists(file)) {
      return new TreeSet<>();
    }
    try {
      List<String> names =
          MAPPER.readValue(RegularFile.bytes(file, MOST_BYTES), new TypeReference<>() {});
      if (names == null || names.contains(null)) {
        throw damaged(file, null);
      }
      return new TreeSet<>(names);
    } catch (IOException e) {
      throw damaged(file, e);
    }
  }

  private static Problem damaged(Path file, @Nullable Exception e) {
    return new Problem(
        Problem.Kind.DATA,
        "%s is damaged: delete it; all class images then count as not reviewed".formatted(file),
        e);
  }

  /** Whether it was kept. */
  boolean has(Path picture) {
    return names.contains(name(picture));
  }

  /**
   * Marks pictures or takes their marks away, on disk too. What another review of the folder marked
   * meanwhile stays.
   *
   * @throws Problem if the file is damaged, or cannot be written; the marks are as before
   */
  void mark(List<Path> pictures, boolean kept) {
    Set<String> before = read(folder);
    Set<String> changed = new TreeSet<>(before);
    pictures.forEach(
        picture -> {
          if (kept) {
            changed.add(name(picture));
          } else {
            changed.remove(name(picture));
          }
        });
    if (!changed.equals(before)) {
      StagedFiles.write(file(folder), json(changed));
    }
    names = changed;
  }

  private static byte[] json(Set<String> names) {
    try {
      return MAPPER.writeValueAsBytes(names);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private String name(Path picture) {
    return folder.relativize(picture).toString().replace('\\', '/');
  }

  private static Path file(Path folder) {
    return folder.resolve(PictureFolder.REVIEW).resolve("kept.json");
  }
}
