package dreambooth4j.data;

import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A subject with its pictures, as they will be trained.
 *
 * @param index its place in the configuration, from 0
 * @param folder what lies in its folder
 */
public record Concept(
    int index, ConceptConfig config, List<Picture> pictures, PictureFolder folder) {
  /**
   * Looks through the folders of all concepts; of each picture only the header is read.
   *
   * @throws Problem if a folder is missing or without pictures, a picture is unreadable, or a
   *     caption is missing where the prompts need one
   */
  public static List<Concept> scanAll(Config config) {
    Buckets buckets = new Buckets(config.data().resolution());
    List<Concept> concepts = new ArrayList<>();
    for (ConceptConfig concept : config.concepts()) {
      concepts.add(scan(concepts.size(), concept, buckets));
    }
    return List.copyOf(concepts);
  }

  private static Concept scan(int index, ConceptConfig config, Buckets buckets) {
    String type = config.classImages().token();
    if (Prompts.mentions(type, config.instanceToken())) {
      throw Problem.usage(
          "class_token '%s' holds the instance_token '%s': a class caption could not do without"
                  .formatted(type, config.instanceToken())
              + " the subject; choose other words");
    }
    if (config.classImages().dataDir().equals(config.instanceDataDir())) {
      throw Problem.usage(
          "instance_data_dir and class_data_dir are both %s: class images need a folder of their own"
              .formatted(config.instanceDataDir()));
    }
    PictureFolder folder = PictureFolder.list(config.instanceDataDir());
    if (folder.pictures().isEmpty()) {
      String skipped = folder.skippedInWords();
      throw Problem.data(
          "%s has no pictures (JPEG, PNG, WebP, BMP, GIF or TIFF)%s: give another instance_data_dir"
              .formatted(config.instanceDataDir(), skipped.isEmpty() ? "" : ", only " + skipped));
    }
    Prompts prompts =
        new Prompts(config.instanceToken(), type, config.instancePrompt(), config.classTemplate());
    List<Picture> pictures =
        folder.pictures().stream()
            .map(file -> picture(file, index, config, prompts, buckets))
            .toList();
    return new Concept(index, config, pictures, folder);
  }

  private static Picture picture(
      Path file, int index, ConceptConfig config, Prompts prompts, Buckets buckets) {
    String caption = Caption.of(file);
    boolean needed =
        config.instancePrompt().contains(Prompts.FILEWORDS)
            || (config.hasClass() && config.classTemplate().contains(Prompts.FILEWORDS));
    if (needed && Prompts.dropEmptyTags(caption).isEmpty()) {
      throw Problem.data(
          "%s has an empty caption: write what it shows into %s, or give an instance_prompt without %s"
              .formatted(file, Caption.sidecar(file).getFileName(), Prompts.FILEWORDS));
    }
    ImageReader.Size size = ImageReader.size(file);
    return new Picture(
        file,
        index,
        buckets.nearest(size.width(), size.height()),
        prompts.instancePrompt(caption),
        config.hasClass() ? prompts.classCaption(caption) : "");
  }
}
