package dreambooth4j.data;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.config.CaptionConfig;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A subject with its pictures, as they will be trained.
 *
 * @param index its place in the configuration, from 0
 * @param folder what lies in its folder
 * @param uncaptioned pictures that nobody gave a caption, though the prompts ask for one: they are
 *     trained with the tokens alone
 */
public record Concept(
    int index,
    ConceptConfig config,
    List<Picture> pictures,
    PictureFolder folder,
    List<Path> uncaptioned) {
  /**
   * A picture, of the subject or its class, that cannot be trained.
   *
   * @param concept its concept's place in the configuration, from 0
   */
  public record Refused(int concept, Path file, Problem why) {
    /** Where one is too many: it is thrown. */
    public static final Consumer<Refused> THROWN =
        refused -> {
          throw refused.why;
        };

    /** Why, without the file's name, with which messages begin. */
    public String reason() {
      String message = String.valueOf(why.getMessage());
      String name = Printable.text(file.toString());
      return message.startsWith(name)
          ? message.substring(name.length()).replaceFirst("^[:\\s]+", "")
          : message;
    }
  }

  /** What became of one file: one of the two. */
  private record Scanned(
      @Nullable Picture picture, boolean uncaptioned, @Nullable Refused refused) {
    static Scanned refused(Refused refused) {
      return new Scanned(null, false, refused);
    }
  }

  /**
   * Looks through the folders of all concepts; of each picture only the header is read.
   *
   * @throws Problem if a folder is missing or without pictures, a picture is unreadable, or a
   *     caption is missing where the prompts need one
   */
  public static List<Concept> scanAll(Config config) {
    return scanAll(config, Refused.THROWN);
  }

  /**
   * As {@link #scanAll(Config)}, but hands over a picture that cannot be trained and goes on, while
   * its concept has any other.
   */
  public static List<Concept> scanAll(Config config, Consumer<Refused> refusals) {
    Buckets buckets = Buckets.of(config.data());
    PictureFolder.Lister folders = new PictureFolder.Lister(config);
    List<Concept> concepts = new ArrayList<>();
    for (ConceptConfig concept : config.concepts()) {
      concepts.add(scan(concepts.size(), concept, buckets, folders, config, refusals));
    }
    return List.copyOf(concepts);
  }

  private static Concept scan(
      int index,
      ConceptConfig config,
      Buckets buckets,
      PictureFolder.Lister folders,
      Config run,
      Consumer<Refused> refusals) {
    String type = config.classImages().token();
    if (Prompts.mentions(type, config.instanceToken())) {
      throw Problem.usage(
          "class_token '%s' holds the instance_token '%s': a class caption could not do without"
                  .formatted(type, config.instanceToken())
              + " the subject; choose other words");
    }
    if (PictureFolder.real(config.classImages().dataDir())
        .equals(PictureFolder.real(config.instanceDataDir()))) {
      throw Problem.usage(
          "instance_data_dir and class_data_dir are both %s: class images need a folder of their own"
              .formatted(config.instanceDataDir()));
    }
    PictureFolder folder = folders.list(config.instanceDataDir());
    if (folder.pictures().isEmpty()) {
      String skipped = folder.skippedInWords();
      throw Problem.data(
          "%s has no pictures (JPEG, PNG, WebP, BMP, GIF or TIFF)%s: give another instance_data_dir"
              .formatted(config.instanceDataDir(), skipped.isEmpty() ? "" : ", only " + skipped));
    }
    Prompts prompts = Prompts.of(config);
    List<Picture> pictures = new ArrayList<>();
    List<Path> uncaptioned = new ArrayList<>();
    List<Refused> refused = new ArrayList<>();
    for (Scanned each :
        Parallel.map(
            folder.pictures(),
            file ->
                scan(
                    file,
                    run.loss().masked() ? folder.masks().get(file) : null,
                    index,
                    config,
                    run.data().captions(),
                    prompts,
                    buckets))) {
      if (each.picture != null) {
        pictures.add(each.picture.masked(folder.masks().get(each.picture.file())));
        if (each.uncaptioned) {
          uncaptioned.add(each.picture.file());
        }
      } else if (each.refused != null) {
        refused.add(each.refused);
      }
    }
    if (pictures.isEmpty()) {
      throw refused.get(0).why();
    }
    refused.forEach(refusals);
    return new Concept(index, config, List.copyOf(pictures), folder, List.copyOf(uncaptioned));
  }

  /**
   * What to say of a run whose loss is masked where no picture has a mask; null where one has, or
   * none is asked for. Pictures are read for their opacity until one has some.
   */
  public static @Nullable String noteOfMasks(Config run, List<Concept> concepts) {
    List<Picture> pictures = concepts.stream().flatMap(each -> each.pictures.stream()).toList();
    if (!run.loss().masked()
        || pictures.stream().anyMatch(each -> each.mask() != null)
        || pictures.parallelStream().anyMatch(LossMask::isOpacityOf)) {
      return null;
    }
    return "masked_loss: no picture of %s has a mask, so all of each picture counts in the loss, as without masked_loss: put 01.mask.png beside 01.jpg, white where the picture counts and black where it does not, or save pictures with transparency; or leave out masked_loss"
        .formatted(
            concepts.stream()
                .map(each -> each.config.instanceDataDir().toString())
                .distinct()
                .collect(Collectors.joining(" and ")));
  }

  private static Scanned scan(
      Path file,
      @Nullable Path mask,
      int index,
      ConceptConfig config,
      CaptionConfig how,
      Prompts prompts,
      Buckets buckets) {
    try {
      if (mask != null) {
        LossMask.requireFits(mask, file);
      }
      return scanned(file, index, config, how, prompts, buckets);
    } catch (Problem e) {
      return Scanned.refused(new Refused(index, file, e));
    }
  }

  /** This concept with its class images elsewhere, unless its class folder is used whole. */
  public Concept withClassFolder(Path dir) {
    return config.classImages().unmatched()
        ? this
        : new Concept(index, config.withClassDataDir(dir), pictures, folder, uncaptioned);
  }

  /** This concept with these of its pictures alone. */
  Concept withPictures(List<Picture> some) {
    return new Concept(index, config, List.copyOf(some), folder, uncaptioned);
  }

  /** What is worth knowing about its folder, a line each: what was skipped, what repeats. */
  public List<String> notes() {
    List<String> notes = new ArrayList<>();
    if (!folder.skipped().isEmpty()) {
      notes.add("skipped in %s: %s".formatted(config.instanceDataDir(), folder.skippedInWords()));
    }
    if (!uncaptioned.isEmpty()) {
      String first = String.valueOf(uncaptioned.get(0).getFileName());
      notes.add(
          "%d of %d pictures in %s have no caption, for a name such as %s says nothing of a picture: each is trained as '%s'. Write what it shows into a text file beside it, %s.txt"
              .formatted(
                  uncaptioned.size(),
                  pictures.size(),
                  config.instanceDataDir(),
                  first,
                  Prompts.of(config).instancePrompt(tokens(config)),
                  Companion.stem(uncaptioned.get(0))));
    }
    Map<String, Integer> repeated = new TreeMap<>();
    for (Picture picture : pictures) {
      if (KohyaFolder.of(config.instanceDataDir(), picture.file()) != null) {
        Path top = picture.file().getName(config.instanceDataDir().getNameCount());
        repeated.merge(top.toString(), 1, Integer::sum);
      }
    }
    repeated.forEach(
        (name, count) ->
            notes.add(
                "%s: its name says that each of its %d pictures comes %s times an epoch"
                    .formatted(
                        config.instanceDataDir().resolve(name),
                        count,
                        name.substring(0, name.indexOf('_')))));
    return notes;
  }

  private static Scanned scanned(
      Path file,
      int index,
      ConceptConfig config,
      CaptionConfig how,
      Prompts prompts,
      Buckets buckets) {
    ImageSize size = ImageReader.size(file);
    Caption caption = Caption.of(config.instanceDataDir(), file, how);
    boolean matched = config.hasClass() && !config.classImages().unmatched();
    boolean needed =
        config.instancePrompt().contains(Prompts.FILEWORDS)
            || (matched && config.classTemplate().contains(Prompts.FILEWORDS));
    boolean uncaptioned = needed && caption.isMissing();
    List<String> texts = uncaptioned ? List.of(tokens(config)) : caption.texts();
    if (needed && Prompts.dropEmptyTags(String.join("\n", texts)).isEmpty()) {
      throw Problem.data(
          "%s has an empty caption: write what it shows into %s, or give an instance_token, or an instance_prompt without %s"
              .formatted(file, Companion.stem(file) + how.extensions().get(0), Prompts.FILEWORDS));
    }
    Picture picture =
        new Picture(
            file,
            index,
            buckets.of(size.width(), size.height()),
            CropFile.of(file, config.crop()),
            caption.repeats() * config.repeats(),
            texts.stream()
                .map(
                    text ->
                        new Picture.Wording(
                            prompts.instancePrompt(text),
                            matched ? classCaption(file, prompts, text) : ""))
                .distinct()
                .toList());
    return new Scanned(picture, uncaptioned, null);
  }

  /** What a picture is trained with that has no caption: "sks cat". */
  private static String tokens(ConceptConfig config) {
    return (config.instanceToken() + " " + config.classImages().token()).strip();
  }

  private static String classCaption(Path file, Prompts prompts, String caption) {
    String text = prompts.classCaption(caption);
    if (text.isEmpty()) {
      throw Problem.data(
          "%s has a class caption that is empty without the instance_token: give a class_token, or a class_prompt that says more"
              .formatted(file));
    }
    return text;
  }
}
