package dreambooth4j.config;

import java.util.List;

/** Everything that a run is told, resolved: defaults, then the file, then the flags. */
public record Config(
    ModelConfig model,
    DataConfig data,
    TrainingConfig training,
    OptimizerConfig optimizer,
    EmaConfig ema,
    ComputeConfig compute,
    MemoryConfig memory,
    PriorConfig prior,
    List<ConceptConfig> concepts,
    SamplesConfig samples,
    OutputConfig output) {
  /** The same computed otherwise. */
  public Config with(ComputeConfig other) {
    return new Config(
        model, data, training, optimizer, ema, other, memory, prior, concepts, samples, output);
  }

  /** The same with other memory options. */
  public Config with(MemoryConfig other) {
    return new Config(
        model, data, training, optimizer, ema, compute, other, prior, concepts, samples, output);
  }
}
