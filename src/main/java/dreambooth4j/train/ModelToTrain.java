package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.TimestepConfig;
import dreambooth4j.data.Concept;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Prediction;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.pipeline.NewWords;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.RescheduledSource;
import java.util.List;

/** Reads a base model as a run trains it: with its noise schedule, new words, adapters, types. */
public final class ModelToTrain {
  private ModelToTrain() {}

  /** As {@link #load(Arena, ModelSource, Config, List)}, of concepts that nobody need be told. */
  public static StableDiffusion load(Arena run, ModelSource base, Config config) {
    return load(run, base, config, List.of());
  }

  /**
   * Reads a model to train as the configuration says; in a dry arena, its sizes.
   *
   * @param concepts what it is going to learn, which a LoRA's file speaks of
   */
  public static StableDiffusion load(
      Arena run, ModelSource base, Config config, List<Concept> concepts) {
    ModelSource source = NewWords.in(scheduled(base, config), config.embedding(), run.isDry());
    Adaptation adaptation = new Adaptation(config, source, concepts, run.isDry());
    StableDiffusion model =
        StableDiffusion.load(
            run,
            source,
            adaptation.learning(),
            config.memory().fusedBackwardPass() ? Gradients.PASSED_ON : Gradients.GATHERED,
            Precision.of(config));
    if (!run.isDry()) {
      adaptation.begin(run, model);
    }
    if (config.samples().tiled()) {
      model.decodeInTiles();
    }
    if (config.memory().unloadFrozen()) {
      model.unloadFrozen();
    }
    return model;
  }

  /** The model with the noise schedule that it is to be trained for, where that is another. */
  private static ModelSource scheduled(ModelSource base, Config config) {
    TimestepConfig wanted = config.timesteps();
    if (!wanted.velocity() && !wanted.zeroTerminalSnr()) {
      return base;
    }
    SchedulerConfig own = SchedulerConfig.of(base.config(Component.SCHEDULER));
    if (wanted.velocity()
        && config.lora().used()
        && NoiseSchedule.of(own).prediction() == Prediction.EPSILON) {
      throw Problem.usage(
          "v_parameterization: the base model predicts the noise, and a LoRA cannot tell the"
              + " programs that load it beside that model to expect velocity, so their pictures"
              + " would be noise: leave v_parameterization out, or train all weights with use_lora:"
              + " false");
    }
    if (wanted.zeroTerminalSnr()
        && config.lora().used()
        && !own.values().path("rescale_betas_zero_snr").asBoolean()) {
      throw Problem.usage(
          "zero_terminal_snr: the base model's noise does not end in noise alone, and a LoRA cannot tell the programs that load it beside that model to draw as if it did, so their pictures would not be those that it learnt: leave zero_terminal_snr out, or train all weights with use_lora: false");
    }
    if (wanted.zeroTerminalSnr() && !own.className().isEmpty() && !own.knowsZeroTerminalSnr()) {
      throw Problem.usage(
          "zero_terminal_snr: the base model names the sampler %s, which cannot draw with such a schedule: name DDIMScheduler instead, in its model_index.json and in scheduler/scheduler_config.json; of a model in a single file, in those of a folder that model_config names"
              .formatted(own.className()));
    }
    return new RescheduledSource(
        base, own.trainedAs(wanted.velocity(), wanted.zeroTerminalSnr()).values());
  }
}
