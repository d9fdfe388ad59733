package dreambooth4j.prior;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.PictureFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/**
 * Class images that somebody deleted in a review: they lie in {@code .review/deleted} of their
 * class folder, where they count for nothing, can be brought back, and are known for the generator
 * not to make them again.
 *
 * @param folder the class folder
 */
public record DeletedImages(Path folder) {
  /** Those of a concept. */
  public static DeletedImages of(ConceptConfig concept) {
    return new DeletedImages(concept.classImages().dataDir());
  }

  /** Whether this picture of the class folder was deleted. */
  boolean has(Path picture) {
    return Files.exists(place(picture));
  }

  /** The deleted pictures, where they lie now. */
  List<Path> pictures() {
    Path deleted = folder.resolve(PictureFolder.REVIEW).resolve("deleted");
    if (!Files.isDirectory(deleted)) {
      return List.of();
    }
    try {
      return FolderEntries.below(deleted).stream()
          .filter(file -> file.toString().endsWith(".png"))
          .toList();
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.DATA, "%s cannot be listed: %s".formatted(deleted, Problem.why(e)), e);
    }
  }

  /**
   * Deletes a picture with its caption and its record; an earlier one of that name is replaced.
   *
   * @return whether it was there
   * @throws Problem if it cannot be moved; it is still there then
   */
  public boolean delete(Path picture) {
    if (!Files.exists(picture)) {
      return false;
    }
    List<Path> companions = companions(picture);
    move(picture, place(picture)); // first, for it is what counts
    companions.forEach(file -> move(file, place(file)));
    return true;
  }

  /**
   * Brings a deleted picture back.
   *
   * @throws Problem if it cannot be moved, or another one has taken its place
   */
  public void restore(Path picture) {
    if (Files.exists(picture)) {
      throw new Problem(
          Problem.Kind.FAILED, "a picture of that name is there again: %s".formatted(picture));
    }
    Path deleted = place(picture);
    for (Path file : companions(deleted)) {
      Path back = picture.resolveSibling(String.valueOf(file.getFileName()));
      if (!Files.exists(back)) {
        move(file, back);
      }
    }
    move(deleted, picture); // last: what is counted is whole
  }

  /** Files of the picture's name but for the extension, unless they are another picture's too. */
  private static List<Path> companions(Path picture) {
    String name = String.valueOf(picture.getFileName());
    String stem = name.replaceFirst("\\.[^.]*$", "");
    Path folder = picture.resolveSibling(".").normalize();
    try {
      List<Path> same =
          FolderEntries.of(folder).stream()
              .filter(file -> !file.equals(picture) && Files.isRegularFile(file))
              .filter(
                  file ->
                      String.valueOf(file.getFileName()).replaceFirst("\\.[^.]*$", "").equals(stem))
              .toList();
      return same.stream().anyMatch(PictureFolder::isPicture) ? List.of() : same;
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED, "%s cannot be listed: %s".formatted(folder, Problem.why(e)), e);
    }
  }

  private Path place(Path file) {
    return folder.resolve(PictureFolder.REVIEW).resolve("deleted").resolve(folder.relativize(file));
  }

  private static void move(Path from, Path to) {
    try {
      Files.createDirectories(to.resolveSibling("."));
      Files.move(from, to, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED, "%s cannot be moved: %s".formatted(from, Problem.why(e)), e);
    }
  }
}
