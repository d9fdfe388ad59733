package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/**
 * The model that a run has saved in a folder, in whatever form: {@code .model.json} there names its
 * files. So the next run knows which files it may write over, and takes away what it does not
 * replace: the weights of another form, or the shards that diffusers would read in preference.
 */
public final class SavedModel {
  private static final String LIST = ".model.json";
  private static final String FILES = "files";
  private static final ObjectMapper JSON = new ObjectMapper();

  private SavedModel() {}

  /**
   * Puts a model in the place of the one that was saved there before. Wherever this fails or the
   * process is killed, the folder holds the one or the other, or {@link FolderChanges} are pending
   * and it is read by nobody.
   *
   * @param model hands out its files
   * @throws Problem when it cannot be written
   */
  public static void replace(Path folder, Consumer<NewFiles> model) {
    List<Path> left;
    try (FolderChanges changes = new FolderChanges(folder)) {
      model.accept(changes);
      left = new ArrayList<>(files(folder));
      left.removeIf(changes::holds);
      Collections.reverse(left); // a folder's index was written last, and goes first
      left.forEach(changes::delete);
      byte[] list = list(changes.placed());
      changes.add(folder.resolve(LIST), StagedFiles.Body.of(list));
      changes.commit();
    }
    left.stream()
        .map(file -> file.resolveSibling(""))
        .filter(each -> !each.equals(folder))
        .forEach(StagedFiles::removeIfEmpty);
  }

  private static byte[] list(List<String> placed) {
    ObjectNode root = JSON.createObjectNode();
    ArrayNode files = root.putArray(FILES);
    placed.forEach(files::add);
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a list of names can be written as JSON", e);
    }
  }

  /**
   * Whether a run has saved a model there that is still there, or a part of it.
   *
   * @throws Problem when the list of its files is damaged
   */
  public static boolean isIn(Path folder) {
    return files(folder).stream().anyMatch(SavedModel::isThere);
  }

  /**
   * Refuses to write over what no run has saved.
   *
   * @param places files in the folder that a run is going to write
   * @throws Problem of kind USAGE that names one which is there
   */
  public static void requireOwn(Path folder, Collection<Path> places) {
    Set<Path> own = files(folder);
    for (Path place : places) {
      if (isThere(place) && !own.contains(place)) {
        throw Problem.usage(
            "output_dir %s holds %s, which no run of train left there: it would be overwritten. Give another output_dir, or move that file away."
                .formatted(folder, folder.relativize(place)));
      }
    }
  }

  private static boolean isThere(Path file) {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
  }

  /** The files of the model that was saved there last; none where none was. */
  private static Set<Path> files(Path folder) {
    Path list = folder.resolve(LIST);
    Set<Path> files = new LinkedHashSet<>();
    if (!isThere(list)) {
      return files;
    }
    for (JsonNode each : JsonFile.read(list).path(FILES)) {
      try {
        Path file = folder.resolve(each.asText());
        boolean inside = file.normalize().startsWith(folder.normalize());
        if (each.isTextual() && inside && !file.equals(folder)) {
          files.add(file);
          continue;
        }
      } catch (InvalidPathException e) {
        // as any other that is no name of a file in this folder
      }
      throw Problem.data(
          "%s: expected names of files in this folder, found %s. Move the model away that is there, and this file."
              .formatted(list, each));
    }
    return files;
  }
}
