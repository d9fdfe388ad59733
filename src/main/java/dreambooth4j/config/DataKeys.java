package dreambooth4j.config;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The keys that say how pictures and captions reach the model. They hold for the whole run. */
final class DataKeys {
  private static final String RATE = "a number from 0 to 1";
  private static final List<Key<Config, ?>> ALL = new ArrayList<>();

  static final Key<Config, Integer> RESOLUTION =
      key(
          "resolution",
          ValueType.whole(16, 4096),
          512,
          "Pixels: pictures are scaled and cropped to about resolution x resolution of them.",
          c -> c.data().resolution());
  static final Key<Config, Boolean> HFLIP =
      key(
          "hflip",
          ValueType.flag(),
          false,
          "Mirror each picture at random.",
          c -> c.data().hflip());
  static final Key<Config, Boolean> SHUFFLE_TAGS =
      key(
          "shuffle_tags",
          ValueType.flag(),
          false,
          true,
          "Put all tags of a prompt but the first in a new order each time.",
          c -> c.data().captions().shuffleTags());
  static final Key<Config, Integer> KEEP_TOKENS =
      key(
          "keep_tokens",
          ValueType.whole(0, 1000),
          1,
          "Tags at the start of a prompt that are neither shuffled nor left out.",
          c -> c.data().captions().keepTokens());
  static final Key<Config, Double> CAPTION_TAG_DROPOUT_RATE =
      key(
          "caption_tag_dropout_rate",
          ValueType.number(RATE, v -> v >= 0 && v <= 1),
          0.0,
          "How often one of the other tags is left out; those with a token always stay.",
          c -> c.data().captions().tagDropoutRate());
  static final Key<Config, Double> CAPTION_DROPOUT_RATE =
      key(
          "caption_dropout_rate",
          ValueType.number(RATE, v -> v >= 0 && v <= 1),
          0.0,
          "How often a picture is shown with an empty prompt.",
          c -> c.data().captions().dropoutRate());
  static final Key<Config, String> CAPTION_EXTENSION =
      key(
          "caption_extension",
          ValueType.extensions(),
          ".txt,.caption,.cap",
          "Extensions of caption files; the first that lies beside a picture counts.",
          c -> String.join(",", c.data().captions().extensions()));
  static final Key<Config, CaptionConfig.Lines> MULTILINE_CAPTIONS =
      key(
          "multiline_captions",
          ValueType.oneOf(CaptionConfig.Lines.class),
          CaptionConfig.Lines.JOINED,
          "Lines of a caption file: joined to one caption, the first alone, or drawn, one an epoch.",
          c -> c.data().captions().lines());
  static final Key<Config, BucketConfig.List> BUCKETS =
      key(
          "buckets",
          ValueType.oneOf(BucketConfig.List.class),
          BucketConfig.List.EXTENSION,
          "Whose list of sizes pictures are brought to.",
          c -> c.data().buckets().list());
  static final Key<Config, Integer> MIN_BUCKET_RESO =
      key(
          "min_bucket_reso",
          ValueType.whole(8, 16_384),
          256,
          "Pixels of the shortest side, with buckets: kohya.",
          c -> kohya(c, c.data().buckets().min()));
  static final Key<Config, Integer> MAX_BUCKET_RESO =
      key(
          "max_bucket_reso",
          ValueType.whole(8, 16_384),
          1024,
          "Pixels of the longest side, with buckets: kohya.",
          c -> kohya(c, c.data().buckets().max()));
  static final Key<Config, Integer> BUCKET_RESO_STEPS =
      key(
          "bucket_reso_steps",
          ValueType.multipleOf(8, 1024),
          64,
          "What sides are multiples of, with buckets: kohya.",
          c -> kohya(c, c.data().buckets().step()));
  static final Key<Config, Boolean> BUCKET_NO_UPSCALE =
      key(
          "bucket_no_upscale",
          ValueType.flag(),
          false,
          "Give each picture a size of its own and enlarge none, with buckets: kohya.",
          c -> kohya(c, c.data().buckets().noUpscale()));
  static final Key<Config, BucketConfig.Remainder> BUCKET_REMAINDER =
      key(
          "bucket_remainder",
          ValueType.oneOf(BucketConfig.Remainder.class),
          BucketConfig.Remainder.KEEP,
          "Pictures that do not fill a batch: keep a short batch, drop them this epoch, or fill it.",
          c -> c.data().buckets().remainder());

  private DataKeys() {}

  /** All of them, in the order of {@code --help}. */
  static List<Key<Config, ?>> all() {
    return List.copyOf(ALL);
  }

  /** A parameter of kohya's list; the others have none. */
  private static <T> @Nullable T kohya(Config config, T value) {
    return config.data().buckets().list() == BucketConfig.List.KOHYA ? value : null;
  }

  private static <T> Key<Config, T> key(
      String name,
      ValueType<T> type,
      T standard,
      String description,
      Function<Config, @Nullable T> getter) {
    return key(name, type, standard, standard, description, getter);
  }

  private static <T> Key<Config, T> key(
      String name,
      ValueType<T> type,
      T standard,
      T extensionStandard,
      String description,
      Function<Config, @Nullable T> getter) {
    Key<Config, T> key =
        new Key<>(Key.Group.DATA, name, type, standard, extensionStandard, description, getter);
    ALL.add(key);
    return key;
  }
}
