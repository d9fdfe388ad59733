package dreambooth4j.report;

import static dreambooth4j.report.MemoryAdvice.waysOut;
import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.engine.Device;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.MemoryPlan;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MemoryAdviceTest {
  /** The place of the smallest among the options. */
  private static final int LEAST = 6;

  private static final long GB = 1_000_000_000;

  /** Stable Diffusion 1.5's config.json files, without its weights. */
  private static final Path SD15 = Path.of("src/test/resources/models/sd15");

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

  @Test
  void shouldNameWhatMakesPicturesWhereOnlyTheyDoNotFit() {
    tiny.with("mixed_precision", "bf16").with("full_bf16", true);
    tiny.with("validation_prompt", "a man").with("num_validation_images", 40);
    MemoryForecast roomy = TinyRun.forecast(tiny.config(), GB);
    String fewer = "fewer samples at once (num_validation_images, n_save_sample)";
    assertThat(waysOut(TinyRun.forecast(tiny.config(), roomy.plan().ofSteps())))
        .startsWith("It would fit with ")
        .contains(fewer)
        .doesNotContain("class_images", "train_batch_size");
    long least = roomy.optionsOnCpu().get(LEAST).ofSteps();
    assertThat(waysOut(TinyRun.forecast(tiny.config(), least)))
        .contains("No memory option is enough: set gradient_checkpointing + use_8bit_adam + fused")
        .contains(", and " + fewer + " or a lower resolution");
    assertThat(waysOut(TinyRun.forecast(tiny.config(), 1000)))
        .contains("lower train_batch_size or resolution");
    tiny.with("class_images_refresh_epochs", 1).with("num_class_images_per", 2);
    assertThat(waysOut(TinyRun.forecast(tiny.config(), least)))
        .contains(fewer + " and no class images made anew (class_images_refresh_epochs 0) or ");
  }

  /** A GPU does not hold what a checkpoint gathers, however much that is. */
  @Test
  void shouldNameWhatMakesPicturesOnAGpuWhereStatesAreShared() {
    tiny.with("pretrained_model_name_or_path", SD15).with("device", "cuda");
    tiny.with("mixed_precision", "bf16").with("shard_optimizer", true);
    tiny.with("validation_prompt", "a man").with("num_validation_images", 40);
    Config config = tiny.config();
    MemoryPlan plan = TinyRun.forecast(config, Device.CUDA, 1000 * GB, 4).plan();
    assertThat(plan.gathered()).isGreaterThan(plan.pictures());
    assertThat(waysOut(TinyRun.forecast(config, Device.CUDA, plan.ofSteps(), 4)))
        .contains("fewer samples at once (num_validation_images, n_save_sample)");
  }

  /** What a checkpoint gathers on the CPU is no smaller with smaller steps. */
  @Test
  void shouldAdviseToLeaveOutSharedStatesWhereGatheringThemIsTooMuch() {
    tiny.with("shard_optimizer", true).with("gradient_checkpointing", true);
    Config small = tiny.withoutClass().with("train_batch_size", 1).config();
    long sharded = TinyRun.forecast(small, Device.CPU, GB, 4).plan().total();
    assertThat(waysOut(TinyRun.forecast(small, Device.CPU, sharded - 1, 4)))
        .contains(", or shard_optimizer left out (");
  }

  /** Where the steps do not fit without it either, they have to be smaller too. */
  @Test
  void shouldAdviseSmallerStepsWithoutSharedStates() {
    tiny.withoutClass().with("train_batch_size", 1).with("shard_optimizer", true);
    tiny.with("mixed_precision", "bf16").with("full_bf16", true);
    List<MemoryPlan> all = TinyRun.forecast(tiny.config(), Device.CPU, GB, 4).optionsOnCpu();
    long steps = all.get(all.size() - 1).ofSteps();
    assertThat(waysOut(TinyRun.forecast(tiny.config(), Device.CPU, steps, 4)))
        .contains("unload_frozen, leave out shard_optimizer, and lower train_batch_size");
  }

  /** What the plan does not see, such as other programs, is no reason to blame the samples. */
  @Test
  void shouldNotBlamePicturesWhereThePlanFits() {
    tiny.with("mixed_precision", "bf16").with("full_bf16", true);
    tiny.with("gradient_checkpointing", true).with("use_8bit_adam", true);
    tiny.with("fused_backward_pass", true).with("unload_frozen", true);
    long least = TinyRun.forecast(tiny.config(), GB).plan().total();
    assertThat(waysOut(TinyRun.forecast(tiny.config(), least)))
        .contains("lower train_batch_size or resolution")
        .doesNotContain("samples");
  }

  @Test
  void shouldSayThatCoarserWeightsWouldFit() {
    MemoryForecast roomy = TinyRun.forecast(tiny.config(), GB);
    long least = roomy.optionsOnCpu().get(LEAST).total();
    assertThat(waysOut(TinyRun.forecast(tiny.config(), least - 1)))
        .contains("fused_backward_pass with max_grad_norm 0 + unload_frozen + frozen_dtype bf16 (")
        .doesNotContain("full_bf16");
    Config coarse = tiny.with("frozen_dtype", "bf16").config();
    assertThat(
            waysOut(
                TinyRun.forecast(
                    coarse, TinyRun.forecast(coarse, GB).optionsOnCpu().get(LEAST).total() - 1)))
        .contains(
            "fused_backward_pass with max_grad_norm 0 + unload_frozen + mixed_precision bf16 + full_bf16 (");
  }

  /** It passes gradients on at once, which neither waits for others nor for fp16's verdict. */
  @ParameterizedTest
  @CsvSource({"mixed_precision, fp16", "gradient_accumulation_steps, 2"})
  void shouldNotAdviseWhatTheConfigurationRefuses(String key, String value) {
    Config config = tiny.with(key, value).config();
    long least = TinyRun.forecast(config, GB).optionsOnCpu().get(LEAST).total();
    assertThat(waysOut(TinyRun.forecast(config, least)))
        .doesNotContain("fused_backward_pass with max_grad_norm 0 (");
  }

  @Test
  void shouldSayWhatWasWantedAndWhatWouldFit() {
    Config config = tiny.with("gradient_checkpointing", false).config();
    MemoryForecast roomy = TinyRun.forecast(config, GB);
    MemoryForecast tight = TinyRun.forecast(config, roomy.plan().total() - 1);
    Problem problem =
        MemoryAdvice.explained(
            new Problem(Problem.Kind.MEMORY, "conv2d: out of memory: 8 bytes"), tight);
    assertThat(problem.kind()).isEqualTo(Problem.Kind.MEMORY);
    assertThat(problem)
        .hasMessageContaining("out of memory: 8 bytes. The run needs ")
        .hasMessageContaining("were available")
        .hasMessageContaining("It would fit with use_8bit_adam (")
        .hasMessageContaining("gradient_checkpointing + use_8bit_adam (");
    Problem other = new Problem(Problem.Kind.DEVICE, "CUDA: launch: an illegal address");
    assertThat(MemoryAdvice.explained(other, tight)).isSameAs(other);
  }

  @Test
  void shouldAdviseSmallerStepsWhereNothingElseIsEnough() {
    Config config = tiny.with("use_8bit_adam", true).config();
    assertThat(waysOut(TinyRun.forecast(config, 1000)))
        .contains("lower train_batch_size or resolution");
  }

  @Test
  void shouldAdviseNothingWhereThereIsNoGpuToCompareWith() {
    Config config = tiny.with("device", "cuda").with("mixed_precision", "bf16").config();
    MemoryForecast forecast =
        new MemoryForecast(ModelFolder.open(TinyRun.MODEL, null), config, TinyRun.load(config));
    Problem problem = new Problem(Problem.Kind.MEMORY, "conv2d: out of memory: 8 bytes");
    assertThat(MemoryAdvice.explained(problem, forecast)).isSameAs(problem);
  }
}
