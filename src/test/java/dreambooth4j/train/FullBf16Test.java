package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.kernel.Emulated;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Training with the whole model in bf16: what {@link PrecisionTest} does not see. */
class FullBf16Test {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("train_text_encoder", true)
            .with("train_batch_size", 2)
            .with("num_train_epochs", 2)
            .in("full_bf16");
  }

  @Test
  void shouldHoldTheWholeModelInBf16() {
    try (TinyTrainer beside = new TinyTrainer(tiny.with("full_bf16", false));
        TinyTrainer alone = new TinyTrainer(tiny.with("full_bf16", true))) {
      assertThat(alone.model.parameters(Component.VAE).dtype()).isEqualTo(DType.BF16);
      long trained =
          alone.model.parameters(Component.UNET).flatCount()
              + alone.model.parameters(Component.TEXT_ENCODER).flatCount();
      long frozen = alone.model.parameters(Component.VAE).flatCount();
      assertThat(beside.run.meter().liveBytes() - alone.run.meter().liveBytes())
          .isEqualTo(4 * trained + 2 * frozen);
      assertThat(alone.trainer.precision()).contains("bf16 alone");
    }
  }

  @Test
  void shouldStayNearThePathOfMasters() {
    try (TinyTrainer beside = new TinyTrainer(tiny.with("full_bf16", false)).train();
        TinyTrainer alone = new TinyTrainer(tiny.with("full_bf16", true)).train()) {
      for (int i = 0; i < beside.reports.size(); i++) {
        assertThat(alone.reports.get(i).losses().total())
            .isCloseTo(beside.reports.get(i).losses().total(), withinPercentage(3));
      }
      assertThat(alone.unet()).isNotEqualTo(beside.unet());
    }
  }

  /** The same on the kernels of a GPU, whose numbers are the host's but for rounding. */
  @Tag("kernels")
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldTrainOnADeviceAsGradientsArrive(boolean full) {
    tiny.with("max_grad_norm", 0)
        .with("use_8bit_adam", true)
        .with("full_bf16", full)
        .with("train_text_encoder", false)
        .with("train_batch_size", 1) // emulation takes its time
        .with("max_train_steps", 2);
    try (TinyTrainer host = new TinyTrainer(tiny).train();
        TinyTrainer gathered = new TinyTrainer(tiny, Emulated.open()).train();
        TinyTrainer passing =
            new TinyTrainer(tiny.with("fused_backward_pass", true), Emulated.open()).train()) {
      assertThat(passing.unet()).isEqualTo(gathered.unet());
      assertThat(passing.text()).isEqualTo(gathered.text());
      for (int i = 0; i < host.reports.size(); i++) {
        assertThat(passing.reports.get(i).losses().total())
            .isCloseTo(host.reports.get(i).losses().total(), withinPercentage(2));
        assertThat(passing.reports.get(i).gradientNorm())
            .isCloseTo(gathered.reports.get(i).gradientNorm(), withinPercentage(1e-3));
      }
    }
  }

  /** Every reader takes F32, and bf16 loses nothing in it. */
  @Test
  void shouldSaveTheWeightsThemselvesInF32() {
    Path output = folder.resolve("model");
    try (TinyTrainer trained = new TinyTrainer(tiny).train(2);
        Arena scratch = trained.run.child("save")) {
      trained.model.save(scratch, Map.of(), output);
      try (Safetensors file =
          Safetensors.open(output.resolve("unet/diffusion_pytorch_model.safetensors"))) {
        assertThat(file.tensors().values())
            .isNotEmpty()
            .allMatch(each -> each.dtype() == DType.F32);
      }
      tiny.with("pretrained_model_name_or_path", output);
      try (TinyTrainer again = new TinyTrainer(tiny)) {
        assertThat(again.unet()).isEqualTo(trained.unet());
        assertThat(again.text()).isEqualTo(trained.text());
      }
    }
  }
}
