package dreambooth4j.train;

import static dreambooth4j.engine.ProcessMemory.shown;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Concept;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.distributed.TestRanks;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.WholeStates;
import dreambooth4j.engine.kernel.Emulated;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.prior.ClassImageGenerator;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MemoryPlanTest {
  /** Stable Diffusion 1.5's config.json files, without its weights. */
  private static final Path SD15 = Path.of("src/test/resources/models/sd15");

  private static final long GB = 1_000_000_000;

  private static final MemoryConfig LEAST = new MemoryConfig(Checkpointing.TRUE, true, true);

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

  private static MemoryPlan plan(Config config) {
    ModelFolder base = ModelFolder.open(Path.of(config.model().required()), null);
    return MemoryPlan.of(base, config, TinyRun.load(config), Device.CPU);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "mixed_precision=no",
        "mixed_precision=no gradient_checkpointing=true use_8bit_adam=true",
        "mixed_precision=no train_text_encoder=true fused_backward_pass=true max_token_length=150"
            + " use_ema=true",
        "mixed_precision=no train_text_encoder=true gradient_checkpointing=true use_8bit_adam=true"
            + " fused_backward_pass=true max_token_length=150",
        "mixed_precision=no use_lora=true",
        "mixed_precision=no use_lora=true lora_targets=convolutions train_text_encoder=true"
            + " gradient_checkpointing=true use_8bit_adam=true fused_backward_pass=true",
        "mixed_precision=no use_lora=true frozen_dtype=bf16 use_ema=true",
        "mixed_precision=no use_lora=true lora_kind=dora prior=prediction",
        "mixed_precision=no use_lora=true lora_kind=loha lora_targets=convolutions lora_dropout=0.1",
        "mixed_precision=no use_lora=true prior=prediction gradient_checkpointing=true",
        "mixed_precision=no prior=prediction num_class_images_per=3 class_token=man",
        "mixed_precision=no use_lora=true masked_loss=true gradient_checkpointing=true",
        "mixed_precision=no use_lora=true masked_loss=true masked_prior_preservation_weight=1"
            + " gradient_checkpointing=true",
        "mixed_precision=no use_lora=true masked_loss=true masked_prior_preservation_weight=1",
        "mixed_precision=bf16 use_ema=true",
        "mixed_precision=bf16 use_ema=true anchor_weight=10",
        "mixed_precision=no fused_backward_pass=true anchor_weight=10 anchor_dtype=fp16",
        "mixed_precision=no use_lora=true anchor_weight=10",
        "mixed_precision=bf16 train_text_encoder=true gradient_checkpointing=true"
            + " fused_backward_pass=true max_token_length=150",
        "mixed_precision=bf16 full_bf16=true use_ema=true",
        "mixed_precision=bf16 full_bf16=true train_text_encoder=true gradient_checkpointing=true"
            + " use_8bit_adam=true fused_backward_pass=true max_token_length=150"
      })
  void shouldForetellTheRunsPeak(String options) {
    tiny.with("gradient_checkpointing", false).withOptions(options);
    boolean average = options.contains("use_ema=true");
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      trainer.run.meter().resetPeak();
      trainer.train();
      MemoryPlan plan = plan(trainer.config);
      assertThat(plan.average()).isEqualTo(average ? 4 * elements(trainer) : 0);
      long measured = trainer.run.meter().peakBytes();
      assertThat(plan.always() + plan.activationBytes())
          .isBetween((long) (0.95 * measured), (long) (1.05 * measured));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"use_ema=true", "use_8bit_adam=true", "anchor_weight=10"})
  void shouldPlanWhatARankHasOfTheOptimizersStates(String options) {
    Config config = tiny.withOptions("shard_optimizer=true " + options).config();
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    MemoryPlan.Load load = TinyRun.load(config);
    MemoryPlan alone = MemoryPlan.of(base, config, load, Device.CPU, 1);
    MemoryPlan ofFour = MemoryPlan.of(base, config, load, Device.CPU, 4);
    assertThat((double) ofFour.optimizer()).isCloseTo(alone.optimizer() / 4.0, withinPercentage(1));
    assertThat((double) ofFour.anchor()).isCloseTo(alone.anchor() / 4.0, withinPercentage(1));
    assertThat(ofFour.activations()).isEqualTo(alone.activations());
    assertThat(alone.gathered()).isZero();
    assertThat(ofFour.gathered()).isGreaterThan(alone.optimizer());
    assertThat(ofFour.tensors()).isGreaterThanOrEqualTo(ofFour.always() + alone.optimizer());
  }

  /** All states, and the pieces in which they are passed on. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldForetellWhatGatheringForACheckpointTakes(boolean in8Bits) throws Exception {
    Config config = tiny.with("shard_optimizer", true).with("use_8bit_adam", in8Bits).config();
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    List<Long> peaks =
        TestRanks.each(
            2,
            ranks -> {
              try (Arena run = Arena.open("run");
                  StableDiffusion model = ModelToTrain.load(run, base, config)) {
                Optimizer optimizer = Training.assemble(run, model, config, ranks).optimizer();
                long before = run.meter().liveBytes();
                run.meter().resetPeak();
                try (WholeStates whole = requireNonNull(WholeStates.gather(run, optimizer))) {
                  assertThat(whole.all()).hasSize(ranks.isFirst() ? 1 : 0);
                  return run.meter().peakBytes() - before;
                }
              }
            });
    long planned = MemoryPlan.of(base, config, TinyRun.load(config), Device.CPU, 2).gathered();
    assertThat((double) planned).isCloseTo(peaks.get(0), withinPercentage(0.1));
  }

  /** Where the first had less than others, theirs would be planned too small. */
  @Test
  void shouldPlanForTheRankThatHasMost() {
    Config config = tiny.with("shard_optimizer", true).with("device", "cpu").config();
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    long all = MemoryPlan.of(base, config, TinyRun.load(config), Device.CPU, 1).optimizer();
    assertThat(MemoryPlan.of(base, config, TinyRun.load(config), Device.CPU, 7).optimizer())
        .isGreaterThanOrEqualTo(all / 7);
  }

  /** A GPU does not hold what a checkpoint gathers, and its machine must. */
  @Test
  void shouldAskForTheMachinesMemoryThatACheckpointNeedsBesideAGpu() {
    Config config = tiny.with("shard_optimizer", true).with("device", "cuda").config();
    MemoryForecast forecast =
        new MemoryForecast(
            ModelFolder.open(TinyRun.MODEL, null),
            config,
            TinyRun.load(config),
            Device.CUDA,
            OptionalLong.empty(),
            Ranks.planned(4));
    MemoryPlan plan = forecast.plan();
    assertThat(plan.besideTheGpu()).isEqualTo(plan.gathered()).isGreaterThan(3 * plan.optimizer());
    forecast.requireRoom(() -> plan.gathered());
    assertThatThrownBy(() -> forecast.requireRoom(() -> -(1L << 60)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("to save a checkpoint rank 0 needs " + shown(plan.gathered()))
        .hasMessageContaining("available: set use_8bit_adam or leave shard_optimizer out, or give");
    assertThat(MemoryForecast.fewerStates(tiny.with("use_8bit_adam", true).config()))
        .isEqualTo("leave shard_optimizer out");
  }

  /** libtorch needs room beside a convolution whether its weight trains or not. */
  @Test
  void shouldPlanTheWorkspaceOfFrozenConvolutions() {
    long whole = plan(tiny.config()).workspace();
    assertThat(plan(tiny.with("use_lora", true).config()).workspace())
        .isEqualTo(whole)
        .isPositive();
  }

  /** A captured graph keeps its activations' memory while pictures are drawn. */
  @Test
  void shouldPlanPicturesBesideTheActivationsOfCapturedSteps() {
    tiny.with("validation_prompt", "a man").with("num_validation_images", 4);
    ModelSource base = ModelFolder.open(TinyRun.MODEL, null);
    Config plain = tiny.config();
    MemoryPlan one = MemoryPlan.of(base, plain, TinyRun.load(plain), Device.CUDA);
    Config graphs = tiny.with("cuda_graph", true).config();
    MemoryPlan captured = MemoryPlan.of(base, graphs, TinyRun.load(graphs), Device.CUDA);
    assertThat(captured.tensors() - one.tensors())
        .isEqualTo(Math.min(one.activationBytes(), one.pictures()))
        .isPositive();
    MemoryPlan onCpu = MemoryPlan.of(base, plain, TinyRun.load(plain), Device.CPU);
    assertThat(onCpu.captured()).isFalse();
    MemoryPlan ofTwo = MemoryPlan.of(base, graphs, TinyRun.load(graphs), Device.CUDA, 2);
    assertThat(ofTwo.captured()).isFalse(); // gradients go over the host
  }

  /** Of one prompt's pictures the UNet sees all at once, twice; the VAE as many as it can. */
  @ParameterizedTest
  @ValueSource(ints = {12, 40})
  void shouldForetellThePeakOfSamples(int pictures) {
    tiny.with("validation_prompt", "a man").with("num_validation_images", pictures);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      long before = trainer.run.meter().liveBytes();
      trainer.run.meter().resetPeak();
      new SamplePictures(trainer.config, trainer.model, List.of()).draw(trainer.run, () -> false);
      long measured = trainer.run.meter().peakBytes() - before;
      assertThat(plan(trainer.config).pictures())
          .isBetween((long) (0.95 * measured), (long) (1.05 * measured));
    }
  }

  /** A file may ask for a picture that is larger than the run's own, and for few of them. */
  @Test
  void shouldForetellThePeakOfTheLargestPromptOfAFile() throws IOException {
    Path file = folder.resolve("prompts.txt");
    Files.writeString(file, "a man --w 160 --h 128 --s 2\na man\n");
    tiny.with("sample_prompts", file);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      long before = trainer.run.meter().liveBytes();
      trainer.run.meter().resetPeak();
      List<SamplePictures.Sample> drawn =
          new SamplePictures(trainer.config, trainer.model, List.of())
              .draw(trainer.run, () -> false);
      long measured = trainer.run.meter().peakBytes() - before;
      assertThat(drawn).extracting(each -> each.pictures().get(0).width()).containsExactly(160, 32);
      assertThat(plan(trainer.config).pictures())
          .isBetween((long) (0.95 * measured), (long) (1.05 * measured))
          .isGreaterThan(4 * plan(tiny.without("sample_prompts").config()).pictures());
    }
  }

  /**
   * The base model is read beside the model that trains, in frozen_dtype, and draws no more than
   * missing.
   */
  @ParameterizedTest
  @CsvSource({"no, 3", "no, 9", "full_bf16, 3"})
  void shouldForetellThePeakOfFreshClassImages(String type, int atOnce) throws IOException {
    tiny.without("class_data_dir")
        .with("class_images_refresh_epochs", 1)
        .with("num_class_images_per", 3)
        .with("sample_batch_size", atOnce)
        .in(type);
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    Config config = tiny.config();
    try (Arena run = Arena.open("run");
        StableDiffusion model = StableDiffusion.loadToDraw(run, base, config.compute())) {
      AtomicLong most = new AtomicLong();
      new ClassImageGenerator(config, base, model)
          .generate(
              run,
              ClassImagePlan.of(config, Concept.scanAll(config)),
              (done, missing) -> most.accumulateAndGet(run.meter().peakBytes(), Math::max),
              () -> false);
      assertThat((double) plan(config).pictures())
          .isCloseTo((double) most.get(), withinPercentage(5));
    }
  }

  @Test
  void shouldPlanNoFreshClassImagesWithoutPriorPreservation() {
    MemoryPlan without = plan(tiny.withoutClass().config());
    assertThat(plan(tiny.with("class_images_refresh_epochs", 1).config())).isEqualTo(without);
  }

  /** Checkpointing frees nothing of what is drawn beside the steps. */
  @Test
  void shouldNotCheckpointForPictures() {
    tiny.with("validation_prompt", "a man").with("num_validation_images", 40);
    Config config = tiny.config();
    MemoryPlan plan = TinyRun.forecast(config, GB).plan();
    long steps = plan.ofSteps();
    MemoryForecast tight = TinyRun.forecast(config, steps);
    assertThat(tight.fits()).isFalse();
    assertThat(tight.choseCheckpointing()).isFalse();
    assertThat(TinyRun.forecast(config, steps - 1).choseCheckpointing()).isTrue();
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void shouldLetARunHaveWhatItsPlanSaid() {
    MemoryForecast forecast = TinyRun.forecast(tiny.config(), GB);
    assertThat(forecast.limit().orElseThrow())
        .isGreaterThanOrEqualTo(GB - forecast.plan().workspace());
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
    MemoryPlan.Load load =
        new MemoryPlan.Load(
            new Bucket(256, 256), 2, 0, 0, false, false, MemoryPlan.DrawnAtOnce.NOTHING);
    MemoryPlan plain =
        MemoryPlan.of(
            base,
            config.with(new MemoryConfig(Checkpointing.FALSE, false, false)),
            load,
            Device.CPU);
    assertThat(plain.weights()).isBetween(4 * 859_520_964L, 4 * 859_700_000L);
    assertThat(plain.optimizer()).isBetween(2 * plain.weights(), 2 * plain.weights() + 100);
    assertThat(plain.activations())
        .containsKeys("UNet down 0", "UNet middle", "UNet up 3")
        .doesNotContainKey("text encoder");
    MemoryPlan least = MemoryPlan.of(base, config.with(LEAST), load, Device.CPU);
    assertThat(plain.total()).isGreaterThan(14 * GB);
    assertThat(least.total()).isLessThan(8 * GB);
    assertThat(least.activationBytes()).isLessThan(plain.activationBytes() / 2);
  }

  /** Its convolutions go through such pictures in thousands of parts, which are all the same. */
  @Test
  @Timeout(20)
  void shouldPlanLargePicturesInSeconds() {
    MemoryPlan.Load load =
        new MemoryPlan.Load(
            new Bucket(4096, 4096), 8, 0, 0, false, false, MemoryPlan.DrawnAtOnce.NOTHING);
    Config config = tiny.with("pretrained_model_name_or_path", "weights/sprites64").config();
    ModelFolder base = ModelFolder.open(Path.of("weights/sprites64"), null);
    assertThat(MemoryPlan.of(base, config, load, Device.CPU).total()).isGreaterThan(100 * GB);
  }

  private static MemoryPlan onGpu(Config config) {
    MemoryPlan.Load load =
        new MemoryPlan.Load(
            new Bucket(512, 512), 2, 0, 0, false, false, MemoryPlan.DrawnAtOnce.NOTHING);
    return MemoryPlan.of(ModelFolder.open(SD15, null), config.with(LEAST), load, Device.CUDA);
  }

  /** Stable Diffusion 1.5, one pair of pictures of 512 pixels, on a GPU that is not here. */
  @Test
  void shouldPlanForAGpuUnder5Gb() {
    tiny.with("pretrained_model_name_or_path", SD15).with("mixed_precision", "bf16");
    MemoryPlan masters = onGpu(tiny.config());
    MemoryPlan alone = onGpu(tiny.with("full_bf16", true).config());
    assertThat(alone.device()).isEqualTo(Device.CUDA);
    assertThat(alone.total()).isBetween(4 * GB, 5 * GB);
    assertThat(alone.masters()).isZero();
    assertThat(masters.masters()).isEqualTo(2 * masters.weights());
    assertThat(alone.weights()).isEqualTo(masters.weights());
    assertThat(alone.frozen()).isEqualTo(masters.frozen() / 2);
    assertThat(alone.optimizer()).isEqualTo(masters.optimizer());
    assertThat(alone.activationBytes()).isGreaterThan(256L << 20).isLessThan(GB);
  }

  /** What a step keeps of its own, its tables of the timesteps: planned with its batch. */
  private static double tables(TinyTrainer of) {
    LearningModel model =
        new LearningModel(of.model.unet(), null, NoiseSchedule.of(of.model.scheduler()), List.of());
    long before = of.run.meter().liveBytes();
    try (Arena beside = of.run.child("tables")) {
      new TrainingStep(
          beside,
          model,
          LossRecipe.of(of.config),
          0,
          false,
          new StepScalars(beside),
          of.trainer.training().optimizer(),
          null);
      return of.run.meter().liveBytes() - before;
    }
  }

  /** The GPU's ways, emulated, but for cuDNN, whose workspace the plan takes at its most. */
  @Tag("kernels")
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldForetellTheGpusWays(boolean full) {
    tiny.with("mixed_precision", "bf16").with("full_bf16", full).with("max_train_steps", 3);
    if (full) {
      tiny.with("use_8bit_adam", true).with("fused_backward_pass", true);
    }
    try (TinyTrainer trainer = new TinyTrainer(tiny, Emulated.open())) {
      MemoryPlan plan =
          MemoryPlan.of(
              ModelFolder.open(TinyRun.MODEL, null),
              trainer.config,
              TinyRun.load(trainer.config),
              Device.CUDA);
      assertThat(trainer.trainer.training().groups()).isNotEmpty(); // allocates states
      assertThat((double) plan.always())
          .isCloseTo(trainer.run.meter().liveBytes() - tables(trainer), withinPercentage(2));
      trainer.run.meter().resetPeak();
      trainer.train();
      assertThat((double) plan.always() + plan.activationBytes() - (256L << 20))
          .isCloseTo((double) trainer.run.meter().peakBytes(), withinPercentage(10));
    }
  }

  @Test
  void shouldSayThatThereIsNoGpuToCompareWith() {
    Config config = tiny.with("device", "cuda").with("mixed_precision", "bf16").config();
    MemoryForecast forecast =
        new MemoryForecast(ModelFolder.open(TinyRun.MODEL, null), config, TinyRun.load(config));
    assertThat(forecast.plan().device()).isEqualTo(Device.CUDA);
    assertThat(forecast.available()).isEmpty();
    assertThat(forecast.fits()).isTrue();
    assertThat(forecast.choseCheckpointing()).isFalse();
  }

  @Test
  void shouldChooseCheckpointingWhereTheRunWouldNotFitWithout() {
    tiny.with("use_8bit_adam", true);
    Config config = tiny.config();
    MemoryForecast roomy = TinyRun.forecast(config, GB);
    assertThat(roomy.plan().memory().gradientCheckpointing()).isEqualTo(Checkpointing.FALSE);
    assertThat(roomy.choseCheckpointing()).isFalse();
    assertThat(roomy.fits()).isTrue();
    long little = roomy.plan().total() - 1;
    MemoryForecast tight = TinyRun.forecast(config, little);
    assertThat(tight.plan().memory()).isEqualTo(new MemoryConfig(Checkpointing.TRUE, true, false));
    assertThat(tight.choseCheckpointing()).isTrue();
    assertThat(tight.fits()).isTrue();
    MemoryForecast hopeless = TinyRun.forecast(config, 1000);
    assertThat(hopeless.fits()).isFalse();
  }
}
