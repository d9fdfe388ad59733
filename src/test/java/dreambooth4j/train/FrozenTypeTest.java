package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What does not train, held in 16 bits whatever trains. */
class FrozenTypeTest {
  @TempDir private Path folder;
  private TinyRun tiny;

  @BeforeEach
  void paint() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("train_batch_size", 2)
            .with("num_train_epochs", 2);
  }

  private static long frozen(TinyTrainer trainer) {
    return trainer.model.groups().stream()
        .filter(group -> !group.trains())
        .mapToLong(group -> group.parameters().flatCount())
        .sum();
  }

  private static MemoryPlan plan(Config config) {
    List<Concept> concepts = Concept.scanAll(config);
    MemoryPlan.Load load =
        MemoryPlan.Load.of(config, concepts, ClassImagePlan.of(config, concepts));
    return MemoryPlan.of(ModelFolder.open(TinyRun.MODEL, null), config, load, Device.CPU);
  }

  /** With types so much coarser the loss stays near what float32's encoders lead to. */
  @ParameterizedTest
  @CsvSource({"no, false, bf16, 0.05", "no, true, fp16, 0.005", "bf16, false, fp16, 0.5"})
  void shouldHalveWhatIsFrozenAndTrain(
      String trained, boolean text, String frozen, double percent) {
    tiny.in(trained).with("train_text_encoder", text);
    try (TinyTrainer exact = new TinyTrainer(tiny);
        TinyTrainer coarse = new TinyTrainer(tiny.with("frozen_dtype", frozen))) {
      long halved = 2 * frozen(exact);
      assertThat(exact.run.meter().liveBytes() - coarse.run.meter().liveBytes()).isEqualTo(halved);
      assertThat(plan(exact.config).frozen() - plan(coarse.config).frozen()).isEqualTo(halved);
      assertThat(coarse.model.parameters(Component.UNET).dtype())
          .isEqualTo(exact.model.parameters(Component.UNET).dtype());

      coarse.run.meter().resetPeak();
      coarse.train();
      MemoryPlan plan = plan(coarse.config);
      assertThat((double) (plan.always() + plan.activationBytes()))
          .isCloseTo((double) coarse.run.meter().peakBytes(), withinPercentage(5));
      exact.train();
      assertThat(coarse.reports).hasSameSizeAs(exact.reports).isNotEmpty();
      for (int i = 0; i < coarse.reports.size(); i++) {
        assertThat(coarse.reports.get(i).losses().total())
            .isNotEqualTo(exact.reports.get(i).losses().total())
            .isCloseTo(exact.reports.get(i).losses().total(), withinPercentage(percent));
      }
    }
  }

  /** What did not train is copied, not rounded. */
  @Test
  void shouldSaveTheFrozenPartsAsTheyWere() {
    Path output = folder.resolve("model");
    try (TinyTrainer coarse = new TinyTrainer(tiny.with("frozen_dtype", "fp16")).train(1)) {
      coarse.model.save(coarse.run, Map.of(), output);
    }
    for (String file :
        List.of("text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors")) {
      assertThat(output.resolve(file)).hasSameBinaryContentAs(TinyRun.MODEL.resolve(file));
    }
  }

  @Test
  void shouldTakeTheTypeOfTheWholeModelUnlessItIsSaid() {
    tiny.in("full_bf16");
    try (TinyTrainer whole = new TinyTrainer(tiny);
        TinyTrainer said = new TinyTrainer(tiny.with("frozen_dtype", "fp32"))) {
      assertThat(whole.model.parameters(Component.VAE).dtype()).isEqualTo(DType.BF16);
      assertThat(said.model.parameters(Component.VAE).dtype()).isEqualTo(DType.F32);
      assertThat(said.model.parameters(Component.UNET).dtype()).isEqualTo(DType.BF16);
      assertThat(said.trainer.precision()).endsWith("models that do not train in fp32");
    }
  }
}
