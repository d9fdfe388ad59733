package dreambooth4j.config;

import dreambooth4j.config.ComputeConfig.MixedPrecision;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * LoRA: adapters train, small weights around the layers of a model that stays as it is.
 *
 * @param used whether adapters train, rather than all weights
 * @param kind how an adapter changes its layer
 * @param rank values that an adapter's two matrices have between them
 * @param textRank that of the text encoder's adapters; null for {@code rank}
 * @param convRank that of convolutions that see more than one pixel; null for {@code rank}
 * @param alpha what an adapter adds is multiplied with alpha / rank; null for the rank
 * @param factor what LoKr splits the sides of weights by; 0 for as even as can be
 * @param dropout share of an adapter's input that is dropped in training
 * @param targets which layers get adapters
 * @param files which files are written
 * @param half whether they hold F16 rather than F32 where save_precision says no type
 * @param weights a LoRA file that training goes on from; null for adapters that begin with nothing
 */
public record LoraConfig(
    boolean used,
    Kind kind,
    int rank,
    @Nullable Integer textRank,
    @Nullable Integer convRank,
    @Nullable Double alpha,
    int factor,
    double dropout,
    Targets targets,
    Files files,
    boolean half,
    @Nullable Path weights) {
  static final Section<LoraConfig> KEYS = new Section<>(Key.Group.LORA);

  static final Key<LoraConfig, Boolean> USE_LORA =
      KEYS.key("use_lora", ValueType.flag(), LoraConfig::used)
          .otherwise("on where lora_rank or another key of LoRA is given; off in a db_config.json")
          .help(
              "Train LoRA adapters, small matrices added to the layers, and leave the base model's"
                  + " weights unchanged: takes far less memory, and the result is a file of a few"
                  + " megabytes that is used together with the base model.");
  static final Key<LoraConfig, Kind> LORA_KIND =
      KEYS.key("lora_kind", ValueType.oneOf(Kind.class), ifUsed(LoraConfig::kind))
          .standard(Kind.LORA)
          .help(
              "Type of adapter: lora adds a product of two small matrices to each layer; dora also"
                  + " trains the length of each row of the weight, and often learns more at a small"
                  + " rank; loha and lokr (LyCORIS) reach a higher rank with as few numbers. All"
                  + " but lora take longer.");
  static final Key<LoraConfig, Integer> LORA_RANK =
      KEYS.key("lora_rank", ValueType.whole(1, 4096), ifUsed(LoraConfig::rank))
          .standard(4)
          .alias("rank", "lora_unet_rank")
          .help(
              "Rank of the LoRA adapters, the inner dimension of their matrices. A higher rank can"
                  + " learn more details and makes a larger file; 4 to 32 is usual.");
  static final Key<LoraConfig, Integer> LORA_TXT_RANK =
      KEYS.key("lora_txt_rank", ValueType.whole(1, 4096), ifUsed(LoraConfig::textRank))
          .otherwise("as lora_rank")
          .help("Rank of the text encoder's LoRA adapters, where train_text_encoder trains them.");
  static final Key<LoraConfig, Integer> LORA_CONV_RANK =
      KEYS.key("lora_conv_rank", ValueType.whole(1, 4096), ifUsed(LoraConfig::convRank))
          .otherwise("as lora_rank")
          .help(
              "Rank of the LoRA adapters of 3×3 convolutions, which lora_targets: convolutions"
                  + " trains.");
  static final Key<LoraConfig, Double> LORA_ALPHA =
      KEYS.key("lora_alpha", ValueType.number(1e-6, 1e6), ifUsed(LoraConfig::alpha))
          .otherwise("the rank of each adapter")
          .help(
              "Scale of the LoRA adapters: what they add to a layer is multiplied by lora_alpha /"
                  + " lora_rank. The default makes that 1, as in diffusers; kohya's scripts use an"
                  + " alpha of 1.");
  static final Key<LoraConfig, Integer> LORA_FACTOR =
      KEYS.key("lora_factor", ValueType.whole(0, 4096), ifUsed(LoraConfig::factor))
          .standard(0)
          .help(
              "With lora_kind: lokr, the number into which each side of a weight is split, such as"
                  + " 320 into 8 times 40 with 8: a smaller one learns more and makes a larger"
                  + " file. 0 splits as evenly as possible, which makes the smallest file.");
  static final Key<LoraConfig, Double> LORA_DROPOUT =
      KEYS.key("lora_dropout", ValueType.number(0, 0.99), ifUsed(LoraConfig::dropout))
          .standard(0.0)
          .help(
              "Probability with which each input value of a LoRA adapter is set to zero during"
                  + " training, as in peft: 0.1 can reduce overfitting to few pictures. Samples and"
                  + " the saved file are made without dropout.");
  static final Key<LoraConfig, Targets> LORA_TARGETS =
      KEYS.key("lora_targets", ValueType.oneOf(Targets.class), ifUsed(LoraConfig::targets))
          .standard(Targets.ATTENTION)
          .help(
              "Layers that get a LoRA adapter: attention (as diffusers), all-linear (also the other"
                  + " linear layers of transformer blocks, as kohya), or convolutions (also those of"
                  + " residual blocks and resizing, as kohya with conv_dim).");
  static final Key<LoraConfig, Double> LORA_LEARNING_RATE =
      KEYS.<Double>key("lora_learning_rate", ValueType.upTo(1e38))
          .otherwise("learning_rate if that is given, or else 1e-4")
          .help(
              "Learning rate of the UNet's LoRA adapters after the warm-up; overrides"
                  + " learning_rate. 1e-4 is usual.");
  static final Key<LoraConfig, Double> LORA_TXT_LEARNING_RATE =
      KEYS.<Double>key("lora_txt_learning_rate", ValueType.upTo(1e38))
          .otherwise("text_encoder_learning_rate if that is given, or else as the UNet's")
          .help(
              "Learning rate of the text encoder's LoRA adapters after the warm-up; overrides"
                  + " text_encoder_learning_rate.");

  static final Key<LoraConfig, Files> LORA_FILES =
      KEYS.key("lora_files", ValueType.oneOf(Files.class), ifUsed(LoraConfig::files))
          .standard(Files.KOHYA)
          .decidesNothing()
          .help(
              "Format of the LoRA file that a run writes: kohya is loaded by ComfyUI, A1111, Forge"
                  + " and InvokeAI; diffusers is pytorch_lora_weights.safetensors, for"
                  + " load_lora_weights; both writes two files.");
  static final Key<LoraConfig, Boolean> HALF_LORA =
      KEYS.key("half_lora", ValueType.flag(), ifUsed(LoraConfig::half))
          .standard(false)
          .decidesNothing()
          .help(
              "Write the LoRA file in float16 instead of float32, which halves its size;"
                  + " save_precision, where it is given, says the type instead.");

  static final Key<LoraConfig, Path> LORA_WEIGHTS =
      KEYS.key("lora_weights", ValueType.path(), ifUsed(LoraConfig::weights))
          .otherwise("new adapters")
          .alias("lora_model_name")
          .help(
              "LoRA file to continue training from, with the names of kohya, diffusers or peft. The"
                  + " file determines which layers have adapters and their rank and kind; the keys"
                  + " for these have no effect.");

  /** Of a run without LoRA its keys have no values: config.yaml has none of them. */
  private static <T> Function<LoraConfig, @Nullable T> ifUsed(
      Function<LoraConfig, @Nullable T> value) {
    return lora -> lora.used ? value.apply(lora) : null;
  }

  /** The keys that turn LoRA on where use_lora is not given. */
  private static final List<Key<LoraConfig, ?>> PARTS =
      List.of(
          LORA_KIND,
          LORA_WEIGHTS,
          LORA_RANK,
          LORA_TXT_RANK,
          LORA_CONV_RANK,
          LORA_ALPHA,
          LORA_FACTOR,
          LORA_DROPOUT,
          LORA_TARGETS,
          LORA_LEARNING_RATE,
          LORA_TXT_LEARNING_RATE);

  /** What a LoRA file that training goes on from says of its adapters. */
  private static final List<Key<LoraConfig, ?>> OF_THE_FILE =
      List.of(LORA_KIND, LORA_RANK, LORA_TXT_RANK, LORA_CONV_RANK, LORA_FACTOR, LORA_TARGETS);

  /** Why what is said of the text encoder's training does nothing. */
  static final String TEXT_IS_FROZEN =
      "the text encoder is not trained: set train_text_encoder: true, or leave it out";

  /** diffusers' learning rate of LoRA, and the extension's. */
  private static final double LEARNING_RATE = 1e-4;

  /** Without adapters; all other values mean nothing then. */
  static final LoraConfig NONE =
      new LoraConfig(
          false, Kind.LORA, 4, null, null, null, 0, 0, Targets.ATTENTION, Files.KOHYA, false, null);

  /** Adapters of this rank on attention, and nothing else set. */
  public static LoraConfig attention(int rank) {
    return new LoraConfig(
        true, Kind.LORA, rank, null, null, null, 0, 0, Targets.ATTENTION, Files.KOHYA, false, null);
  }

  /**
   * How adapters train.
   *
   * @param trainsText whether the text encoder's do
   */
  static LoraConfig of(Values run, boolean trainsText) {
    if (!isUsed(run)) {
      String unused = "no LoRA is trained: set use_lora: true, or leave it out";
      run.remarkUseless(LORA_FILES, unused);
      run.remarkUseless(HALF_LORA, unused);
      return NONE;
    }
    checkTypes(run);
    checkFiles(run);
    sayWhatIsUseless(run, trainsText);
    return new LoraConfig(
        true,
        run.get(LORA_KIND),
        run.get(LORA_RANK),
        run.orNull(LORA_TXT_RANK),
        run.orNull(LORA_CONV_RANK),
        run.orNull(LORA_ALPHA),
        run.get(LORA_FACTOR),
        run.get(LORA_DROPOUT),
        run.get(LORA_TARGETS),
        run.get(LORA_FILES),
        run.get(HALF_LORA),
        run.orNull(LORA_WEIGHTS));
  }

  private static boolean isUsed(Values run) {
    List<Key<LoraConfig, ?>> given =
        PARTS.stream().filter(key -> run.has(key) && !run.isExtensions(key)).toList();
    Boolean said = run.orNull(USE_LORA);
    if (said == null) {
      return !given.isEmpty();
    }
    if (!said) {
      for (Key<LoraConfig, ?> key : given) {
        if (!run.outranks(USE_LORA, key)) {
          run.error(
              "%s is a key of LoRA, but use_lora is false: set use_lora: true, or remove it"
                  .formatted(Objects.requireNonNull(run.raw(key)).at(key.name())));
        }
      }
    }
    return said;
  }

  private static void checkTypes(Values run) {
    boolean frozenInFp16 = run.orNull(ComputeConfig.FROZEN_DTYPE) == FloatType.FP16;
    MixedPrecision type = run.get(ComputeConfig.MIXED_PRECISION);
    if (frozenInFp16 && (type == MixedPrecision.NO || type == MixedPrecision.AUTO)) {
      run.error(
          "frozen_dtype: fp16 with use_lora computes in fp16, which needs a loss scale: set mixed_precision: fp16, or frozen_dtype: bf16");
    }
  }

  /** Before hours of training, not after them. */
  private static void checkFiles(Values run) {
    Kind kind = run.get(LORA_KIND);
    boolean lycoris = kind == Kind.LOHA || kind == Kind.LOKR;
    if (lycoris && run.get(LORA_FILES) != Files.KOHYA && run.orNull(LORA_WEIGHTS) == null) {
      run.error(
          "lora_files: %s with lora_kind: %s: diffusers loads neither LoHa nor LoKr. Set lora_files: kohya, and for diffusers put the file into a model afterwards: dreambooth merge"
              .formatted(run.get(LORA_FILES), kind));
    }
  }

  private static void sayWhatIsUseless(Values run, boolean trainsText) {
    if (run.orNull(LORA_WEIGHTS) == null) {
      sayWhatIsUselessForNew(run, trainsText);
    } else {
      OF_THE_FILE.forEach(
          key -> run.remarkUseless(key, "lora_weights says it of its own adapters: leave it out"));
    }
    run.remarkUseless(
        OutputConfig.SAVE_MODEL_AS,
        "a LoRA is saved, not a model: set lora_files instead, or leave it out");
    if (run.orNull(OutputConfig.SAVE_PRECISION) != null) {
      run.remarkUseless(
          HALF_LORA, "save_precision says the type of the LoRA file: leave out one of the two");
    }
  }

  /** Of adapters that begin with nothing. */
  private static void sayWhatIsUselessForNew(Values run, boolean trainsText) {
    Targets targets = run.get(LORA_TARGETS);
    if (targets != Targets.CONVOLUTIONS) {
      run.remarkUseless(
          LORA_CONV_RANK,
          "lora_targets is %s: set lora_targets: convolutions, or leave it out".formatted(targets));
    }
    if (run.get(LORA_KIND) != Kind.LOKR) {
      run.remarkUseless(
          LORA_FACTOR,
          "lora_kind is %s: set lora_kind: lokr, or leave it out".formatted(run.get(LORA_KIND)));
    }
    if (!trainsText) {
      run.remarkUseless(LORA_TXT_RANK, TEXT_IS_FROZEN);
    }
  }

  /** The run's learning rate with LoRA: of its own key, or of the usual one if that is given. */
  static double learningRate(Values run) {
    Double rate = run.orNull(learningRateKey(run));
    return rate == null ? LEARNING_RATE : rate;
  }

  /** The text encoder's, as {@link #learningRate}; null for the same. */
  static @Nullable Double textLearningRate(Values run) {
    return run.orNull(textLearningRateKey(run));
  }

  /** The key that says {@link #learningRate}, should one be given. */
  static Key<?, Double> learningRateKey(Values run) {
    return given(run, LORA_LEARNING_RATE, OptimizerConfig.LEARNING_RATE);
  }

  /** The key that says {@link #textLearningRate}, should one be given. */
  static Key<?, Double> textLearningRateKey(Values run) {
    return given(run, LORA_TXT_LEARNING_RATE, OptimizerConfig.TEXT_ENCODER_LEARNING_RATE);
  }

  private static Key<?, Double> given(Values run, Key<?, Double> own, Key<?, Double> usual) {
    boolean meant = run.has(usual) && !run.isExtensions(usual);
    return meant && (!run.has(own) || run.outranks(usual, own)) ? usual : own;
  }

  /** The rank of an adapter of the UNet. */
  public int rank(boolean spatial) {
    return spatial && convRank != null ? convRank : rank;
  }

  /** The rank of the text encoder's adapters. */
  public int rankOfText() {
    return textRank == null ? rank : textRank;
  }

  /** The alpha of an adapter of a rank. */
  public double alphaOf(int ofRank) {
    return alpha == null ? ofRank : alpha;
  }

  /** How an adapter changes its layer. */
  public enum Kind {
    /** By a product of two small matrices. */
    LORA,
    /** As LORA, with the length of each row of the weight learnt by itself. */
    DORA,
    /** By two products of small matrices, multiplied element by element. */
    LOHA,
    /** By the Kronecker product of two small weights. */
    LOKR;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Which layers get an adapter. */
  public enum Targets {
    /** The projections of attention. */
    ATTENTION,
    /** All linear layers of transformer blocks. */
    ALL_LINEAR,
    /** These, and the convolutions and linear layers of residual blocks and of resizing. */
    CONVOLUTIONS;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  /** The files that a run writes. */
  public enum Files {
    /** Under kohya's names. */
    KOHYA,
    /** Under those that diffusers writes. */
    DIFFUSERS,
    /** One of each. */
    BOTH;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
