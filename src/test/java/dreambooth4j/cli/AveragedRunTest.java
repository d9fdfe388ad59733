package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a run with use_ema leaves on disk. */
class AveragedRunTest {
  @TempDir Path folder;

  /** Compares the model with what the last checkpoint calls so: UNet first, then text encoder. */
  private static void assertSaved(Path output, String name) {
    try (Arena run = Arena.open("run");
        StableDiffusion model = StableDiffusion.load(run, ModelFolder.open(output, null));
        Safetensors state =
            Safetensors.open(output.resolve("checkpoint-4/training_state.safetensors"))) {
      assertThat(model.parameters(Component.UNET).masters().toFloats())
          .isEqualTo(state.read(run, "0." + name).toFloats());
      assertThat(model.parameters(Component.TEXT_ENCODER).masters().toFloats())
          .isEqualTo(state.read(run, "1." + name).toFloats());
    }
  }

  @Test
  void shouldSaveTheAverageAndTheWeightsWhereTheyAreAskedFor() throws IOException {
    TinyRun tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("max_train_steps", 4)
            .with("train_text_encoder", true)
            .with("save_state_after", true)
            .with("use_ema", true);
    Ran ran = Ran.of(tiny.arguments("train", "-v"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .containsPattern("trained weights .* and their average \\d+")
        .contains("Samples and the saved model use the averaged weights (use_ema)");
    assertSaved(tiny.output(), "average");

    tiny.with("use_ema", false);
    Ran without = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(without.exitCode()).as(without.err()).isZero();
    assertThat(without.err()).contains("use_ema was 'true', is 'false'");
    assertSaved(tiny.output(), "weights");
  }

  /** The extension's constant decay is far too slow for so few steps. */
  @Test
  void shouldSayThatASlowAverageHoldsLittleOfAShortRun() throws IOException {
    TinyRun tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("max_train_steps", 1)
            .with("n_save_sample", 0)
            .with("use_ema", true)
            .with("ema_warmup", "none");
    assertThat(Ran.of(tiny.arguments("train")).err())
        .contains("after 1 steps 100 % of the averaged weights are still the base model's");
  }
}
