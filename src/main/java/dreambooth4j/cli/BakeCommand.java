package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.pipeline.Origin;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Trains a small base model from nothing. */
@Command(
    name = "bake",
    mixinStandardHelpOptions = true,
    modelTransformer = ConfigFlags.class,
    customSynopsis = "dreambooth bake [CONFIG] [--KEY VALUE]...",
    description =
        "Trains a base model from random weights on a folder of captioned pictures, and leaves a"
            + " folder that diffusers loads and train begins with. Sizes, tokenizer, VAE and noise"
            + " schedule are those of pretrained_model_name_or_path; the weights of its UNet and"
            + " text encoder are not read.",
    footer = {
      "",
      "Ctrl-C saves the model and a checkpoint, and exits with 130.",
      "",
      "Examples:",
      "  dreambooth bake src/examples/bake/config.yaml",
      "  dreambooth bake src/examples/bake/config.yaml --resume_from_checkpoint latest"
    },
    sortOptions = false)
final class BakeCommand implements Callable<Integer> {
  @Mixin private final ConfigArguments arguments = new ConfigArguments();

  @Mixin private final Force force = new Force();

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  CommandSpec spec;

  @Override
  public Integer call() {
    ConfigReader.Reading reading = arguments.reading();
    requireBakes(reading.config());
    return ReportedRun.run(spec, reading, Origin.UNTRAINED, force.given());
  }

  /** What was meant for a subject would not do here what its name says. */
  private static void requireBakes(Config config) {
    if (config.lora().used()) {
      throw Problem.usage(
          "use_lora: only the LoRA would be trained, and the base model would keep its random"
              + " weights: leave use_lora out to bake a base model");
    }
    if (!config.training().trainTextEncoder()) {
      throw Problem.usage(
          "train_text_encoder is not set: the text encoder begins with random weights, and without"
              + " train_text_encoder: true it keeps them and tells the UNet little of a prompt");
    }
    if (config.prior().withPriorPreservation()) {
      throw Problem.usage(
          "with_prior_preservation: class images are drawn by a base model, and what is baked has"
              + " none: leave out class_token, class_prompt and the other keys of the class"
              + " images");
    }
  }
}
