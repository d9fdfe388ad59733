package dreambooth4j.config;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.Layer.Raw;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.nodes.MappingNode;

/**
 * Reads a configuration: defaults, then a YAML or JSON file, then flags; what comes later wins.
 * Everything that is wrong is reported at once, with its line.
 */
public final class ConfigReader {
  private static final List<Key<Config, ?>> OF_KOHYAS_BUCKETS =
      List.of(
          DataKeys.MIN_BUCKET_RESO,
          DataKeys.MAX_BUCKET_RESO,
          DataKeys.BUCKET_RESO_STEPS,
          DataKeys.BUCKET_NO_UPSCALE);

  private final Sources sources = new Sources();
  private final List<String> remarks = new ArrayList<>();

  private ConfigReader() {}

  /**
   * What was read.
   *
   * @param noEffect keys that were read and do nothing here, those with a remark left out
   * @param remarks one line for each value that means something else here
   */
  public record Reading(Config config, List<String> noEffect, List<String> remarks) {
    private static final int COLUMNS = 100;

    /** All of it as lines for people; empty if there is nothing to say. */
    public List<String> notes() {
      List<String> lines = new ArrayList<>(remarks);
      StringBuilder line = new StringBuilder("read, no effect here:");
      for (String key : noEffect) {
        if (line.length() + key.length() >= COLUMNS) {
          lines.add(line.toString());
          line.setLength(0);
          line.append(' ');
        }
        line.append(' ').append(key);
      }
      if (!noEffect.isEmpty()) {
        lines.add(line.toString());
      }
      return lines;
    }
  }

  /**
   * Reads a configuration.
   *
   * @param file a YAML or JSON file, or null if the flags are all; paths in it are relative to it
   * @param flags values by key, without dashes; paths in them are relative to the working folder
   * @throws Problem naming every unknown key, every value that is not allowed and every key that
   *     asks for what is not done here
   */
  public static Reading read(@Nullable Path file, Map<String, String> flags) {
    return new ConfigReader().reading(file, flags);
  }

  /**
   * How a model was trained, from the file that {@code train} leaves beside it. No other file is
   * opened, and what is not understood is left at its default.
   *
   * @return without the base model's name; null where there is no such file, or it is no YAML
   */
  public static @Nullable ModelConfig ofTrained(Path model) {
    Path file = model.resolve(ConfigWriter.FILE);
    try {
      if (!Files.isRegularFile(file) || !(YamlDocument.read(file) instanceof MappingNode root)) {
        return null;
      }
      ConfigReader reader = new ConfigReader();
      reader.sources.addMapping(root, file, reader.sources.top, new HashMap<>());
      Values run = reader.values(List.of(reader.sources.top));
      return new ModelConfig(null, null, run.get(Keys.CLIP_SKIP), run.get(Keys.MAX_TOKEN_LENGTH));
    } catch (Problem e) {
      return null; // other trainers leave files of that name too
    }
  }

  /** All names that may stand in a file or as a flag, those without effect here too. */
  public static Set<String> knownNames() {
    return Sources.knownNames();
  }

  private Reading reading(@Nullable Path file, Map<String, String> flags) {
    if (file != null) {
      sources.addFile(file);
    }
    sources.addFlags(flags);
    failIfWrong();
    Values run = values(List.of(sources.top, sources.flags));
    List<Values> concepts =
        sources.entries.isEmpty()
            ? List.of(run)
            : sources.entries.stream()
                .map(entry -> values(List.of(sources.top, entry, sources.flags)))
                .toList();
    Config config = config(run, concepts);
    failIfWrong();
    List<String> all = Stream.concat(sources.foreign.remarks().stream(), remarks.stream()).toList();
    return new Reading(config, sources.foreign.unused(), all);
  }

  private Values values(List<Layer> layers) {
    return new Values(layers, sources.extension, sources.errors);
  }

  private void failIfWrong() {
    List<String> errors = sources.errors.stream().distinct().toList();
    if (!errors.isEmpty()) {
      int more = errors.size() - Sources.MOST_ERRORS;
      String shown = String.join("\n", errors.subList(0, errors.size() - Math.max(0, more)));
      throw Problem.usage(more > 0 ? shown + "\nand %d more".formatted(more) : shown);
    }
  }

  private Config config(Values run, List<Values> conceptValues) {
    OutputConfig output = output(run);
    ConceptReader reader = new ConceptReader(sources);
    List<ConceptConfig> concepts = reader.concepts(conceptValues, output.outputDir());
    boolean prior = reader.withPriorPreservation(run, conceptValues, concepts);
    return new Config(
        new ModelConfig(
            run.orNull(Keys.PRETRAINED_MODEL),
            run.orNull(Keys.VARIANT),
            run.get(Keys.CLIP_SKIP),
            maxTokenLength(run)),
        data(run),
        training(run, prior),
        optimizer(run),
        EmaKeys.of(run, remarks),
        compute(run),
        memory(run),
        new PriorConfig(
            prior,
            run.get(Keys.PRIOR_LOSS_WEIGHT),
            run.get(Keys.PRIOR_LOSS_SCALE),
            run.get(Keys.PRIOR_LOSS_TARGET),
            run.get(Keys.PRIOR_LOSS_WEIGHT_MIN),
            run.get(Keys.SAMPLE_BATCH_SIZE),
            run.get(Keys.CLASS_IMAGES_REFRESH_EPOCHS)),
        concepts,
        new SamplesConfig(
            run.orNull(Keys.VALIDATION_PROMPT),
            run.get(Keys.NUM_VALIDATION_IMAGES),
            steps(run, Keys.VALIDATION_STEPS, Keys.SAVE_PREVIEW_EVERY),
            run.get(Keys.SAVE_PREVIEW_EVERY),
            run.orNull(Keys.SCHEDULER)),
        output);
  }

  private static OutputConfig output(Values run) {
    Path folder = run.get(Keys.OUTPUT_DIR).toAbsolutePath().normalize();
    Path cache = run.orNull(Keys.CACHE_DIR);
    return new OutputConfig(
        folder,
        steps(run, Keys.CHECKPOINTING_STEPS, Keys.SAVE_EMBEDDING_EVERY),
        run.get(Keys.SAVE_EMBEDDING_EVERY),
        run.orNull(Keys.CHECKPOINTS_TOTAL_LIMIT),
        run.get(Keys.SAVE_STATE_AFTER),
        run.orNull(Keys.RESUME_FROM_CHECKPOINT),
        !run.get(Keys.CACHE_LATENTS)
            ? null
            : cache == null ? folder.resolve("cache") : cache.toAbsolutePath().normalize());
  }

  private DataConfig data(Values run) {
    return new DataConfig(
        run.get(DataKeys.RESOLUTION),
        run.get(DataKeys.HFLIP),
        new CaptionConfig(
            List.of(run.get(DataKeys.CAPTION_EXTENSION).split(",")),
            run.get(DataKeys.MULTILINE_CAPTIONS),
            run.get(DataKeys.SHUFFLE_TAGS),
            run.get(DataKeys.KEEP_TOKENS),
            run.get(DataKeys.CAPTION_TAG_DROPOUT_RATE),
            run.get(DataKeys.CAPTION_DROPOUT_RATE)),
        buckets(run));
  }

  private BucketConfig buckets(Values run) {
    BucketConfig config =
        new BucketConfig(
            run.get(DataKeys.BUCKETS),
            run.get(DataKeys.MIN_BUCKET_RESO),
            run.get(DataKeys.MAX_BUCKET_RESO),
            run.get(DataKeys.BUCKET_RESO_STEPS),
            run.get(DataKeys.BUCKET_NO_UPSCALE),
            run.get(DataKeys.BUCKET_REMAINDER));
    if (config.list() == BucketConfig.List.KOHYA) {
      checkKohya(config, run.get(DataKeys.RESOLUTION));
      return config;
    }
    for (Key<Config, ?> key : OF_KOHYAS_BUCKETS) {
      Raw raw = run.raw(key);
      if (raw != null && run.has(key)) {
        sources.errors.add(
            "%s belongs to kohya's sizes: add buckets: kohya, or remove it"
                .formatted(raw.at(key.name())));
      }
    }
    return config;
  }

  private void checkKohya(BucketConfig config, int resolution) {
    if (config.min() > config.max()) {
      sources.errors.add(
          "min_bucket_reso %d is above max_bucket_reso %d".formatted(config.min(), config.max()));
    }
    if (config.min() % config.step() != 0 || config.max() % config.step() != 0) {
      sources.errors.add(
          "bucket_reso_steps: min_bucket_reso %d and max_bucket_reso %d must be multiples of %d"
              .formatted(config.min(), config.max(), config.step()));
    }
    if (config.step() > resolution) {
      sources.errors.add(
          "bucket_reso_steps %d is above the resolution %d".formatted(config.step(), resolution));
    }
  }

  private TrainingConfig training(Values run, boolean prior) {
    return new TrainingConfig(
        trainBatchSize(run, prior),
        run.get(Keys.GRADIENT_ACCUMULATION_STEPS),
        run.get(Keys.NUM_TRAIN_EPOCHS),
        run.orNull(Keys.MAX_TRAIN_STEPS),
        stopTextEncoder(run),
        run.get(Keys.SNR_GAMMA),
        run.get(Keys.OFFSET_NOISE),
        run.get(Keys.SEED));
  }

  /**
   * diffusers says whether the text encoder is trained, the extension for how long. Both together
   * must agree; where a flag and the file do not, the flag decides.
   */
  private double stopTextEncoder(Values run) {
    double stop = run.get(Keys.STOP_TEXT_ENCODER);
    Boolean trained = run.orNull(Keys.TRAIN_TEXT_ENCODER);
    if (trained == null || !run.has(Keys.STOP_TEXT_ENCODER)) {
      return trained == null ? stop : trained ? 1 : 0;
    }
    if (trained == stop > 0 || run.outranks(Keys.STOP_TEXT_ENCODER, Keys.TRAIN_TEXT_ENCODER)) {
      return stop;
    }
    Raw raw = run.raw(Keys.TRAIN_TEXT_ENCODER);
    if (raw != null && !run.outranks(Keys.TRAIN_TEXT_ENCODER, Keys.STOP_TEXT_ENCODER)) {
      sources.errors.add(
          "%s: %s contradicts stop_text_encoder: %s; remove one of the two"
              .formatted(raw.at(Keys.TRAIN_TEXT_ENCODER.name()), trained, stop));
    }
    return trained ? 1 : 0;
  }

  /**
   * Steps from one time to the next; 0 where a number of epochs was asked for more strongly, so
   * that the default in steps does not win over it.
   */
  private static int steps(Values run, Key<?, Integer> steps, Key<?, Integer> epochs) {
    boolean byEpochs = run.outranks(epochs, steps) && run.get(epochs) > 0;
    return byEpochs ? 0 : run.get(steps);
  }

  private OptimizerConfig optimizer(Values run) {
    if (sources.extension) {
      checkExtensionsSchedule(run);
    }
    return new OptimizerConfig(
        run.get(Keys.LEARNING_RATE),
        run.get(Keys.LR_SCHEDULER),
        run.get(Keys.LR_WARMUP_STEPS),
        run.get(Keys.LR_NUM_CYCLES),
        run.get(Keys.LR_POWER),
        run.get(Keys.ADAM_BETA1),
        run.get(Keys.ADAM_BETA2),
        run.get(Keys.ADAM_WEIGHT_DECAY),
        run.get(Keys.ADAM_EPSILON),
        run.get(Keys.MAX_GRAD_NORM));
  }

  /** Three schedules of the extension have the names of others here. */
  private void checkExtensionsSchedule(Values run) {
    Raw raw = run.raw(Keys.LR_SCHEDULER);
    String name = raw == null || raw.text() == null ? "" : raw.text().toLowerCase(Locale.ROOT);
    String advice =
        switch (name) {
          case "constant" -> "begins at a part of the learning rate: say constant_with_warmup";
          case "linear" -> "rises to the learning rate: say linear_with_warmup, which falls to 0";
          case "cosine" -> "rises again after each fall: say cosine_with_restarts";
          default -> "";
        };
    if (raw != null && sources.flags.get(Keys.LR_SCHEDULER) == null && !advice.isEmpty()) {
      sources.errors.add(
          "%s: %s is not done here as the extension does it, where it %s"
              .formatted(raw.at(Keys.LR_SCHEDULER.name()), name, advice));
    }
    int warmup = run.get(Keys.LR_WARMUP_STEPS);
    if (warmup > 0 && sources.flags.get(Keys.LR_WARMUP_STEPS) == null) {
      remarks.add(
          "lr_warmup_steps: %d counts pictures in the extension; here it is %d steps"
              .formatted(warmup, warmup));
    }
  }

  private ComputeConfig compute(Values run) {
    MixedPrecision type = run.get(ComputeKeys.MIXED_PRECISION);
    boolean fullBf16 = run.get(ComputeKeys.FULL_BF16);
    if (fullBf16 && type != MixedPrecision.BF16) {
      sources.errors.add(
          "full_bf16 holds the model in bf16, but mixed_precision is %s: set mixed_precision: bf16, or leave out full_bf16"
              .formatted(type));
    }
    return new ComputeConfig(
        run.get(ComputeKeys.DEVICE),
        type,
        fullBf16,
        run.get(ComputeKeys.ALLOW_TF32),
        run.get(ComputeKeys.CUDA_GRAPH));
  }

  private MemoryConfig memory(Values run) {
    MemoryConfig config =
        new MemoryConfig(
            run.get(MemoryKeys.GRADIENT_CHECKPOINTING),
            MemoryKeys.use8bitAdam(run),
            run.get(MemoryKeys.FUSED_BACKWARD_PASS));
    if (config.fusedBackwardPass() && run.get(Keys.MAX_GRAD_NORM) > 0) {
      sources.errors.add(
          "fused_backward_pass updates before the norm of all gradients is known: set max_grad_norm: 0, or leave out fused_backward_pass");
    }
    if (config.fusedBackwardPass() && run.get(Keys.GRADIENT_ACCUMULATION_STEPS) > 1) {
      sources.errors.add(
          "fused_backward_pass updates after every batch: set gradient_accumulation_steps: 1 and raise train_batch_size, or leave out fused_backward_pass");
    }
    if (config.fusedBackwardPass() && run.get(ComputeKeys.MIXED_PRECISION) == MixedPrecision.FP16) {
      sources.errors.add(
          "fused_backward_pass updates before it is known whether fp16's gradients are all finite: set mixed_precision: bf16, or leave out fused_backward_pass");
    }
    return config;
  }

  /** The extension counts rows, of which a pair has two. */
  private int trainBatchSize(Values run, boolean prior) {
    int size = run.get(Keys.TRAIN_BATCH_SIZE);
    if (!sources.extension || !prior || sources.flags.get(Keys.TRAIN_BATCH_SIZE) != null) {
      return size;
    }
    int pairs = (size + 1) / 2;
    remarks.add(
        "train_batch_size: %d counts rows in the extension; here it is %d pair%s of an instance and a class picture"
            .formatted(size, pairs, pairs == 1 ? "" : "s"));
    return pairs;
  }

  /** The extension cuts captions at 75 tokens whatever its file says. */
  private int maxTokenLength(Values run) {
    int length = run.get(Keys.MAX_TOKEN_LENGTH);
    if (sources.extension && length > ModelConfig.WINDOW) {
      remarks.add("max_token_length: %d works here, the extension reads 75".formatted(length));
    }
    return length;
  }
}
