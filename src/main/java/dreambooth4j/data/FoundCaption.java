package dreambooth4j.data;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A picture's caption and where it comes from: the text beside it, else its folder's name in
 * kohya's layout, else its own name.
 *
 * @param written whether somebody wrote it for the picture or its folder, rather than it being the
 *     name of a file
 * @param repeats how often its folder says that it comes in an epoch
 */
public record FoundCaption(String text, boolean written, int repeats) {
  /**
   * Finds the caption of a picture.
   *
   * @param root the folder that was given
   */
  public static FoundCaption of(Path root, Path picture) {
    KohyaFolder folder = KohyaFolder.of(root, picture);
    int repeats = folder == null ? 1 : folder.repeats();
    if (Files.isRegularFile(Caption.sidecar(picture))) {
      return new FoundCaption(Caption.of(picture), true, repeats);
    }
    return folder == null
        ? new FoundCaption(Caption.of(picture), false, repeats)
        : new FoundCaption(folder.caption(), true, repeats);
  }
}
