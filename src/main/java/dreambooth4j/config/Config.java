package dreambooth4j.config;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/** Everything that a run is told, resolved: defaults, then the file, then the flags. */
public record Config(
    ModelConfig model,
    DataConfig data,
    TrainingConfig training,
    LossConfig loss,
    NoiseConfig noise,
    TimestepConfig timesteps,
    OptimizerConfig optimizer,
    LoraConfig lora,
    EmbeddingConfig embedding,
    EmaConfig ema,
    AnchorConfig anchor,
    ComputeConfig compute,
    MemoryConfig memory,
    PriorConfig prior,
    List<ConceptConfig> concepts,
    SamplesConfig samples,
    ValidationConfig validation,
    OutputConfig output,
    ReportConfig report) {
  static final Section<Config> KEYS = new Section<>(Key.Group.GENERAL);

  /** Read before all others: what it says is resolved when they are. */
  static final Key<Config, Defaults> DEFAULTS =
      KEYS.<Defaults>key("defaults", ValueType.oneOf(Defaults.class))
          .otherwise("dreambooth4j; extension for a db_config.json")
          .help(
              "Which program's defaults apply to keys that are not set: dreambooth4j's, those of"
                  + " diffusers' train_dreambooth.py, or those of sd_dreambooth_extension. Use"
                  + " diffusers to reproduce a run of its script.");

  /** Whether what prompts become changes in training: text encoders learn, or vectors of words. */
  public boolean promptsLearn() {
    return training.trainTextEncoder() || embedding.used();
  }

  /** Whether the base model is asked too in a step, beside what trains. */
  public boolean asksBaseModel() {
    return prior.predicts() || loss.maskedPrior() > 0;
  }

  /** Whether all weights of a part learn, rather than adapters or vectors of words alone. */
  public boolean trainsWeights() {
    return !lora.used() && (training.trainUnet() || training.trainTextEncoder());
  }

  /** The same computed otherwise. */
  public Config with(ComputeConfig other) {
    return new Config(
        model,
        data,
        training,
        loss,
        noise,
        timesteps,
        optimizer,
        lora,
        embedding,
        ema,
        anchor,
        other,
        memory,
        prior,
        concepts,
        samples,
        validation,
        output,
        report);
  }

  /** The same with other memory options. */
  public Config with(MemoryConfig other) {
    return new Config(
        model,
        data,
        training,
        loss,
        noise,
        timesteps,
        optimizer,
        lora,
        embedding,
        ema,
        anchor,
        compute,
        other,
        prior,
        concepts,
        samples,
        validation,
        output,
        report);
  }

  /** The same, but that the first concept's pictures are those of validation_data_dir, alone. */
  public Config onValidationPictures() {
    Path folder = Objects.requireNonNull(validation.dataDir(), "no validation_data_dir");
    List<ConceptConfig> first = List.of(concepts.get(0).withInstanceDataDir(folder));
    return new Config(
        model,
        data,
        training,
        loss,
        noise,
        timesteps,
        optimizer,
        lora,
        embedding,
        ema,
        anchor,
        compute,
        memory,
        prior,
        first,
        samples,
        validation,
        output,
        report);
  }
}
