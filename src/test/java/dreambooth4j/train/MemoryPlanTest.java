package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Parameters;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MemoryPlanTest {
  /** Stable Diffusion 1.5's config.json files, without its weights. */
  private static final Path SD15 = Path.of("src/test/resources/models/sd15");

  private static final long GB = 1_000_000_000;

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("train_batch_size", 2)
            .with("max_grad_norm", 0)
            .with("max_train_steps", 4);
  }

  private static MemoryPlan.Load load(Config config) {
    List<Concept> concepts = Concept.scanAll(config);
    return MemoryPlan.Load.of(config, concepts, ClassImagePlan.of(config, concepts));
  }

  private static MemoryPlan plan(Config config) {
    ModelFolder base = ModelFolder.open(Path.of(config.model().required()), null);
    return MemoryPlan.of(base, config, config.memory(), load(config));
  }

  @ParameterizedTest
  @CsvSource({
    "false,false,false,false,no,false",
    "false,true,true,false,no,false",
    "true,false,false,true,no,true",
    "true,true,true,true,no,false",
    "false,false,false,false,bf16,true",
    "true,true,false,true,bf16,false"
  })
  void shouldForetellTheRunsPeak(
      boolean text, boolean again, boolean small, boolean fused, String type, boolean average) {
    tiny.with("train_text_encoder", text)
        .with("gradient_checkpointing", again)
        .with("use_8bit_adam", small)
        .with("fused_backward_pass", fused)
        .with("mixed_precision", type)
        .with("use_ema", average)
        .with("max_token_length", fused ? 150 : 75);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      trainer.run.resetPeak();
      trainer.train();
      MemoryPlan plan = plan(trainer.config);
      assertThat(plan.average()).isEqualTo(average ? 4 * elements(trainer) : 0);
      long measured = trainer.run.peakBytes();
      assertThat(plan.always() + plan.activationBytes())
          .isBetween((long) (0.95 * measured), (long) (1.05 * measured));
    }
  }

  private static long elements(TinyTrainer of) {
    return of.trainer.trained().stream().mapToLong(Parameters::flatCount).sum();
  }

  /** The figures of Stable Diffusion 1.5, one pair of pictures of 256 pixels. */
  @Test
  void shouldPlanAModelWithoutItsWeights() {
    tiny.with("pretrained_model_name_or_path", SD15);
    Config config = tiny.config();
    ModelFolder base = ModelFolder.open(SD15, null);
    MemoryPlan.Load load = new MemoryPlan.Load(new Bucket(256, 256), 2, 0, 0);
    MemoryPlan plain =
        MemoryPlan.of(base, config, new MemoryConfig(Checkpointing.FALSE, false, false), load);
    assertThat(plain.weights()).isBetween(4 * 859_520_964L, 4 * 859_700_000L);
    assertThat(plain.optimizer()).isBetween(2 * plain.weights(), 2 * plain.weights() + 100);
    assertThat(plain.activations())
        .containsKeys("UNet down 0", "UNet middle", "UNet up 3")
        .doesNotContainKey("text encoder");
    MemoryPlan least =
        MemoryPlan.of(base, config, new MemoryConfig(Checkpointing.TRUE, true, true), load);
    assertThat(plain.total()).isGreaterThan(14 * GB);
    assertThat(least.total()).isLessThan(8 * GB);
    assertThat(least.activationBytes()).isLessThan(plain.activationBytes() / 2);
    assertThat(least.onGpu(MemoryPlan.Gpu.BF16_ALONE)).isLessThan(5 * GB);
  }

  @Test
  void shouldChooseCheckpointingWhereTheRunWouldNotFitWithout() {
    tiny.with("use_8bit_adam", true);
    Config config = tiny.config();
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    MemoryForecast roomy = new MemoryForecast(base, config, load(config), GB);
    assertThat(roomy.plan().memory().gradientCheckpointing()).isEqualTo(Checkpointing.FALSE);
    assertThat(roomy.choseCheckpointing()).isFalse();
    assertThat(roomy.fits()).isTrue();
    long little = roomy.plan().total() - 1;
    MemoryForecast tight = new MemoryForecast(base, config, load(config), little);
    assertThat(tight.plan().memory()).isEqualTo(new MemoryConfig(Checkpointing.TRUE, true, false));
    assertThat(tight.choseCheckpointing()).isTrue();
    assertThat(tight.fits()).isTrue();
    MemoryForecast hopeless = new MemoryForecast(base, config, load(config), 1000);
    assertThat(hopeless.fits()).isFalse();
    assertThat(hopeless.waysOut()).contains("lower train_batch_size or resolution");
  }

  @Test
  void shouldSayWhatWasWantedAndWhatWouldFit() {
    Config config = tiny.with("gradient_checkpointing", false).config();
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    MemoryForecast roomy = new MemoryForecast(base, config, load(config), GB);
    MemoryForecast tight = new MemoryForecast(base, config, load(config), roomy.plan().total() - 1);
    Problem problem =
        tight.explained(new Problem(Problem.Kind.DEVICE, "conv2d: out of memory: 8 bytes"));
    assertThat(problem.kind()).isEqualTo(Problem.Kind.DEVICE);
    assertThat(problem)
        .hasMessageContaining("out of memory: 8 bytes. The run needs ")
        .hasMessageContaining("were available")
        .hasMessageContaining("It would fit with use_8bit_adam (")
        .hasMessageContaining("gradient_checkpointing + use_8bit_adam (");
    Problem other = Problem.data("x");
    assertThat(tight.explained(other)).isSameAs(other);
  }
}
