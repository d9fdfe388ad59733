package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.Config;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import dreambooth4j.pipeline.Learning;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.WeightTypes;
import dreambooth4j.report.QuietReport;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Training in 16 bits, beside F32 masters or without. */
class PrecisionTest {
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
            .with("num_train_epochs", 2);
  }

  private static List<Float> gradients(TinyTrainer of) {
    PairBatches batches = new PairBatches(of.config, of.model, of.caches);
    List<Float> all = new ArrayList<>();
    try (Arena arena = of.run.child("step")) {
      of.trainer.training().write(new StepSettings(0, 0, 0.4, 1, 0), 1);
      of.trainer
          .training()
          .gradients(List.of(made -> batches.batch(made, of.pairs.epoch(0).get(0), 0, 0, true)));
      for (Parameters group : of.trainer.trained()) {
        Tensor wide = arena.allocate("wide", DType.F32, group.flatCount());
        wide.copyFrom(group.gradients());
        for (float value : wide.toFloats()) {
          all.add(value);
        }
      }
    }
    return all;
  }

  private static double relativeError(List<Float> actual, List<Float> expected) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.size(); i++) {
      error += Math.pow(actual.get(i) - expected.get(i), 2);
      norm += Math.pow(expected.get(i), 2);
    }
    assertThat(actual).hasSameSizeAs(expected);
    assertThat(norm).isPositive();
    return Math.sqrt(error / norm);
  }

  /** A bf16 number has 8 bits and an fp16 one 11; some fifty roundings lie on a gradient's way. */
  @ParameterizedTest
  @CsvSource({"bf16,0.03", "fp16,0.004"})
  void shouldGiveTheGradientsOfF32WithinTheTypesBounds(String type, double limit) {
    try (TinyTrainer exact = new TinyTrainer(tiny);
        TinyTrainer half = new TinyTrainer(tiny.with("mixed_precision", type))) {
      double error = relativeError(gradients(half), gradients(exact));
      assertThat(error).isGreaterThan(1e-5).isLessThan(limit);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"bf16", "fp16"})
  void shouldFollowThePathOfF32(String type) {
    try (TinyTrainer exact = new TinyTrainer(tiny).train();
        TinyTrainer half = new TinyTrainer(tiny.with("mixed_precision", type)).train()) {
      assertThat(half.model.parameters(Component.UNET).dtype().isHalf()).isTrue();
      for (int i = 0; i < exact.reports.size(); i++) {
        assertThat(half.reports.get(i).losses().total())
            .isCloseTo(exact.reports.get(i).losses().total(), withinPercentage(1));
        assertThat(half.reports.get(i).gradientNorm())
            .isCloseTo(exact.reports.get(i).gradientNorm(), withinPercentage(3));
      }
      assertThat(half.unet()).isNotEqualTo(exact.unet());
    }
  }

  /** One picture, again and again, is soon known. */
  @ParameterizedTest
  @ValueSource(strings = {"bf16", "fp16", "full_bf16"})
  void shouldLearn(String type) {
    tiny.withoutClass().in(type).with("train_batch_size", 3).with("num_train_epochs", 20);
    try (TinyTrainer trained = new TinyTrainer(tiny).train()) {
      double first = mean(trained.reports.subList(0, 8));
      double last = mean(trained.reports.subList(32, 40));
      assertThat(last).isLessThan(0.8 * first);
    }
  }

  private static double mean(List<Trainer.StepReport> reports) {
    return reports.stream().mapToDouble(r -> r.losses().total()).average().orElseThrow();
  }

  @ParameterizedTest
  @CsvSource({
    "bf16,false,false",
    "bf16,true,true",
    "fp16,false,true",
    "full_bf16,false,false",
    "full_bf16,true,true"
  })
  void shouldGoOnExactly(String type, boolean fused, boolean in8Bits) {
    tiny.in(type)
        .with("fused_backward_pass", fused)
        .with("use_8bit_adam", in8Bits)
        .with("max_grad_norm", fused ? 0 : 1)
        .with("gradient_checkpointing", true);
    Path checkpoint = folder.resolve("checkpoint-3");
    try (TinyTrainer whole = new TinyTrainer(tiny).train(3)) {
      whole.trainer.save(checkpoint);
      whole.train();
      try (TinyTrainer rest = new TinyTrainer(tiny)) {
        assertThat(rest.trainer.resume(checkpoint)).isEmpty();
        rest.train();
        assertThat(rest.timeless()).isEqualTo(whole.timeless().subList(3, whole.reports.size()));
        assertThat(rest.unet()).isEqualTo(whole.unet());
        assertThat(rest.text()).isEqualTo(whole.text());
      }
    }
  }

  @Test
  void shouldSayThatARunGoesOnInAnotherType() {
    Path checkpoint = folder.resolve("checkpoint-1");
    try (TinyTrainer exact = new TinyTrainer(tiny).train(1);
        TinyTrainer half = new TinyTrainer(tiny.with("mixed_precision", "bf16"))) {
      exact.trainer.save(checkpoint);
      assertThat(half.trainer.resume(checkpoint))
          .containsExactly("mixed_precision was 'no', is 'bf16'");
      assertThat(half.unet()).isEqualTo(exact.unet());
    }
  }

  /** The same bits, for a weight's update asks for nothing of the others. */
  @ParameterizedTest
  @CsvSource({"bf16,false", "full_bf16,false", "full_bf16,true"})
  void shouldLearnTheSameBitsWhenGradientsArePassedOn(String type, boolean in8Bits) {
    tiny.in(type).with("max_grad_norm", 0).with("use_8bit_adam", in8Bits);
    try (TinyTrainer plain = new TinyTrainer(tiny).train();
        TinyTrainer passing = new TinyTrainer(tiny.with("fused_backward_pass", true)).train()) {
      assertThat(passing.unet()).isEqualTo(plain.unet());
      assertThat(passing.text()).isEqualTo(plain.text());
    }
  }

  /** With a scale that fp16 cannot hold, steps are skipped until one fits. */
  @Test
  void shouldSkipStepsWhoseScaledGradientsOverflow() {
    tiny.with("mixed_precision", "fp16").with("num_train_epochs", 40);
    Path checkpoint = folder.resolve("checkpoint-0");
    try (TinyTrainer trained = new TinyTrainer(tiny)) {
      Map<String, List<Float>> before = trained.unet();
      trained.saveWithScale(checkpoint, 0x1p30);
      trained.trainer.resume(checkpoint);
      trained.train(1);
      assertThat(trained.reports.get(0).skipped()).isTrue();
      assertThat(trained.reports.get(0).lossScale()).isEqualTo(0x1p30);
      assertThat(trained.reports.get(0).losses().total()).isFinite();
      assertThat(trained.unet()).isEqualTo(before);
      trained.train(30);
      Trainer.StepReport last = trained.reports.get(29);
      assertThat(last.skipped()).isFalse();
      assertThat(last.lossScale()).isLessThan(0x1p30).isGreaterThan(1);
      assertThat(last.gradientNorm()).isLessThan(1e3);
      assertThat(trained.unet()).isNotEqualTo(before);
    }
  }

  /** What is drawn and what is saved is the masters, not their copy. */
  @Test
  void shouldComputeInF32WhereItIsAskedTo() {
    try (Arena run = Arena.open("run")) {
      ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
      StableDiffusion half =
          StableDiffusion.load(
              run,
              base,
              Map.of(Component.UNET, Learning.whole(1)),
              Parameters.Gradients.GATHERED,
              WeightTypes.trainedIn(DType.BF16));
      StableDiffusion exact = StableDiffusion.load(run, base);
      assertThat(half.parameters(Component.TEXT_ENCODER).dtype()).isEqualTo(DType.F32);
      half.withSavedWeights(
          () -> {
            for (Parameter each : half.parameters(Component.UNET).all()) {
              Parameter same = exact.parameters(Component.UNET).byName().get(each.name());
              assertThat(same).isNotNull();
              assertThat(each.weight().toFloats()).containsExactly(same.weight().toFloats());
            }
          });
      assertThat(half.parameters(Component.UNET).all().get(0).weight().dtype())
          .isEqualTo(DType.BF16);
      half.close();
      exact.close();
    }
  }

  private static final PrecisionTrial SLOW_BF16 = new PrecisionTrial(1, 1.6);
  private static final PrecisionTrial FAST_BF16 = new PrecisionTrial(1, 0.5);

  @Test
  void shouldTakeTheFasterTypeAndSayWhatWasMeasured() {
    List<String> notes = new ArrayList<>();
    assertThat(Precision.decide(Device.CPU, null, () -> SLOW_BF16, notes::add))
        .isEqualTo(MixedPrecision.NO);
    assertThat(Precision.decide(Device.CPU, null, () -> FAST_BF16, notes::add))
        .isEqualTo(MixedPrecision.BF16);
    assertThat(notes)
        .containsExactly(
            "mixed_precision: auto takes float32: layers of this run's sizes take a core here 1.000 s in float32 and 1.600 s in bf16",
            "mixed_precision: auto takes bf16: layers of this run's sizes take a core here 1.000 s in float32 and 0.500 s in bf16");
    assertThat(new PrecisionTrial(1, 0.95).faster()).isEqualTo(MixedPrecision.NO);
  }

  /** It would train in fp16 without what fp16's keys are checked for. */
  @Test
  void shouldNotDecideOnFp16() {
    Path checkpoint = folder.resolve("checkpoint-1");
    try (TinyTrainer half = new TinyTrainer(tiny.with("mixed_precision", "fp16")).train(1)) {
      half.trainer.save(checkpoint);
    }
    assertThatThrownBy(() -> Precision.decide(Device.CPU, checkpoint, () -> FAST_BF16, note -> {}))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("set mixed_precision: fp16 to go on from it");
    tiny.with("mixed_precision", "auto").with("use_lora", true).with("frozen_dtype", "fp16");
    assertThatThrownBy(tiny::config).hasMessageContaining("needs a loss scale");
  }

  @Test
  void shouldKeepTheTypeOfACheckpointWhateverIsFaster() {
    Path checkpoint = folder.resolve("checkpoint-1");
    try (TinyTrainer half = new TinyTrainer(tiny.with("mixed_precision", "bf16")).train(1)) {
      half.trainer.save(checkpoint);
    }
    List<String> notes = new ArrayList<>();
    assertThat(Precision.decide(Device.CPU, checkpoint, PrecisionTest::noTrial, notes::add))
        .isEqualTo(MixedPrecision.BF16);
    assertThat(notes).singleElement().asString().contains("keeps bf16", "repeats bit for bit");
  }

  private static PrecisionTrial noTrial() {
    throw new AssertionError("nothing is to be measured");
  }

  /** One of both types is not the one that a trial takes here. */
  @ParameterizedTest
  @ValueSource(strings = {"no", "bf16"})
  void shouldGoOnInTheTypeOfItsCheckpoint(String type) throws IOException {
    tiny.with("max_train_steps", 1).with("checkpointing_steps", 1).with("save_state_after", true);
    assertThat(TinyRun.run(tiny.in(type).config())).isTrue();
    tiny.in("auto").with("max_train_steps", 2).with("resume_from_checkpoint", "latest");
    List<String> warnings = new ArrayList<>();
    QuietReport report = warningTo(warnings::add);
    new TrainingRun(tiny.config(), report, () -> false).dryRun();
    assertThat(warnings).anyMatch(each -> each.contains("auto keeps "));
    assertThat(TinyRun.run(tiny.config())).isTrue();
    String recorded =
        Checkpoint.settings(tiny.output().resolve("checkpoint-2")).get("mixed_precision");
    assertThat(recorded).isEqualTo(type);
  }

  /** A wrong folder is said before anything is measured. */
  @Test
  void shouldLookAtPicturesBeforeItMeasures() {
    tiny.with("mixed_precision", "auto").with("instance_data_dir", folder.resolve("nowhere"));
    List<String> warnings = new ArrayList<>();
    QuietReport report = warningTo(warnings::add);
    assertThatThrownBy(() -> new TrainingRun(tiny.config(), report, () -> false).run())
        .isInstanceOf(Problem.class)
        .hasMessageContaining("nowhere");
    assertThat(warnings).noneMatch(each -> each.contains("auto takes"));
  }

  /** Pictures that are gone by then would be missed by a second look. */
  @Test
  void shouldLookAtPicturesOnce() {
    Config config = tiny.with("mixed_precision", "auto").config();
    Path pictures = config.concepts().get(0).instanceDataDir();
    QuietReport report =
        warningTo(
            message -> {
              if (message.contains("auto takes")) {
                assertThat(pictures.toFile().renameTo(folder.resolve("gone").toFile())).isTrue();
              }
            });
    assertThat(new TrainingRun(config, report, () -> false).dryRun().plan().total()).isPositive();
    assertThat(folder.resolve("gone")).isDirectory();
  }

  @Test
  void shouldRecordWhatWasChosen() throws IOException {
    Config config =
        tiny.with("mixed_precision", "auto")
            .with("max_train_steps", 1)
            .with("checkpointing_steps", 1)
            .with("save_state_after", true)
            .config();
    assertThat(TinyRun.run(config)).isTrue();
    String recorded =
        Checkpoint.settings(tiny.output().resolve("checkpoint-1")).get("mixed_precision");
    assertThat(recorded).isIn("no", "bf16");
    assertThat(Files.readString(tiny.output().resolve("config.yaml")))
        .contains("mixed_precision: " + recorded);
  }

  /** Named by their pixels. */
  private List<String> classImages(String name, String options) throws IOException {
    TinyRun run = new TinyRun(folder.resolve(name)).withOptions("max_train_steps=1 " + options);
    assertThat(TinyRun.run(run.config())).isTrue();
    try (Stream<Path> files = Files.list(run.classImages())) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void shouldDrawClassImagesIn16BitsWhereFrozenModelsAre() throws IOException {
    List<String> exact = classImages("exact", "mixed_precision=no");
    assertThat(classImages("masters", "mixed_precision=bf16")).isEqualTo(exact);
    assertThat(classImages("half", "mixed_precision=bf16 frozen_dtype=bf16"))
        .hasSameSizeAs(exact)
        .doesNotContainAnyElementsOf(exact);
  }

  @Test
  void shouldSayWhatHasNoEffectOnTheCpu() {
    assertThat(Precision.notes(tiny.with("allow_tf32", true).config().compute(), Device.CPU))
        .singleElement()
        .asString()
        .contains("TF32");
    assertThat(Precision.notes(tiny.config().compute(), Device.CUDA)).isEmpty();
  }

  private static QuietReport warningTo(Consumer<String> warnings) {
    return new QuietReport(System.err) {
      @Override
      public void warning(String message) {
        warnings.accept(message);
      }
    };
  }
}
