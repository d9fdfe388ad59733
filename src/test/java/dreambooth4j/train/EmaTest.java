package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.config.EmaConfig;
import dreambooth4j.config.EmaConfig.Warmup;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import dreambooth4j.weights.Component;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The average of the weights: its arithmetic, when it moves, and what becomes of it. */
class EmaTest {
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("num_train_epochs", 2)
            .with("ema_decay", 0.6)
            .with("use_ema", true);
  }

  private static float[] floats(JsonNode list) {
    float[] values = new float[list.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = list.get(i).floatValue();
    }
    return values;
  }

  private static EmaConfig config(JsonNode settings) {
    return new EmaConfig(
        true,
        settings.path("ema_decay").doubleValue(),
        Warmup.valueOf(settings.path("ema_warmup").textValue().toUpperCase(Locale.ROOT)),
        settings.path("ema_inv_gamma").asDouble(1),
        settings.path("ema_power").asDouble(1),
        0,
        0);
  }

  static List<String> recorded() throws IOException {
    return Files.readAllLines(Path.of("src/test/resources/ema/ema.jsonl"));
  }

  /** {@code src/test/python/make_ema.py} recorded it. */
  @ParameterizedTest
  @MethodSource("recorded")
  void shouldAverageAsDiffusersDoes(String line) throws IOException {
    JsonNode row = JSON.readTree(line);
    try (Arena run = Arena.open("run")) {
      Parameters parameters = new Parameters(DType.F32);
      parameters.declare("weight", 3);
      parameters.allocate(run, true);
      Tensor weight = parameters.all().get(0).master();
      weight.copyFrom(floats(row.path("first")));
      Ema ema = new Ema(run, config(row.path("settings")), List.of(parameters));
      for (JsonNode step : row.path("steps")) {
        weight.copyFrom(floats(step.path("weight")));
        assertThat(1 - ema.rate()).isCloseTo(step.path("decay").doubleValue(), within(1e-12));
        update(run, ema);
        assertThat(parameters.all().get(0).saved().toFloats())
            .containsExactly(floats(step.path("average")), within(1e-6f));
      }
      assertThat(ema.updates()).isEqualTo(25);
    }
  }

  private static void update(Arena run, Ema ema) {
    try (Arena arena = run.child("step")) {
      ema.update(
          arena.floats("rate", new float[] {(float) ema.rate()}, 1),
          arena.zeros("norm", DType.F32, 1));
    }
    ema.updated();
  }

  /** As the extension has it: so much of the first weights is left, whatever the step. */
  @Test
  void shouldKeepTheDecayConstantWithoutAWarmup() {
    try (Arena run = Arena.open("run")) {
      Parameters parameters = new Parameters(DType.F32);
      parameters.declare("weight", 1);
      parameters.allocate(run, true);
      EmaConfig config = new EmaConfig(true, 0.9999, Warmup.NONE, 1, 1, 0, 0);
      Ema ema = new Ema(run, config, List.of(parameters));
      parameters.masters().copyFrom(filled((int) parameters.flatCount(), 1));
      for (int i = 0; i < 800; i++) {
        update(run, ema);
      }
      assertThat((double) parameters.all().get(0).saved().toFloats()[0])
          .isCloseTo(1 - Math.pow(0.9999, 800), within(1e-5));
      assertThat(ema.note(800)).contains("92 % of the averaged weights are still the base model's");
      assertThat(ema.note(100_000)).isNull();
      EmaConfig rising = new EmaConfig(true, 0.9999, Warmup.RATIO, 1, 1, 0, 0);
      assertThat(new Ema(run, rising, List.of(parameters)).note(1)).isNull();
    }
  }

  private static float[] filled(int count, float value) {
    float[] values = new float[count];
    Arrays.fill(values, value);
    return values;
  }

  /** Weights of 16 bits, more than are widened at once; in F32 the average has more digits. */
  @Test
  void shouldAverageWeightsOf16BitsInF32() {
    try (Arena run = Arena.open("run")) {
      Parameters parameters = new Parameters(DType.BF16);
      parameters.declare("weight", 1_100_003);
      parameters.allocate(run, false);
      parameters.keepAverage(run);
      SplittableRandom random = new SplittableRandom(1);
      float[] expected = new float[(int) parameters.flatCount()];
      for (double share : new double[] {1, 0.25, 0.01}) {
        float[] values = new float[expected.length];
        for (int i = 0; i < values.length; i++) {
          // Seven bits: BF16 holds them.
          values[i] = (random.nextInt(256) - 128) / 64f;
          expected[i] += (float) share * (values[i] - expected[i]);
        }
        try (Arena arena = run.child("values")) {
          parameters.masters().copyFrom(arena.floats("values", values, values.length));
        }
        try (Arena arena = run.child("rate")) {
          parameters.moveAverage(
              arena.floats("rate", new float[] {(float) share}, 1),
              arena.zeros("norm", DType.F32, 1));
        }
      }
      float[] average = parameters.saved().toFloats();
      double most = 0;
      for (int i = 0; i < expected.length; i++) {
        most = Math.max(most, Math.abs(average[i] - expected[i]));
      }
      assertThat(most).isLessThan(1e-6);
    }
  }

  @Test
  void shouldStayWhereItIsWhereANormOnTheDeviceIsNotFinite() {
    try (Arena run = Arena.open("run")) {
      Parameters parameters = new Parameters(DType.F32);
      parameters.declare("weight", 5);
      parameters.allocate(run, true);
      parameters.keepAverage(run);
      int count = (int) parameters.flatCount();
      parameters.masters().copyFrom(filled(count, 1));
      Tensor share = run.floats("share", new float[] {0.25f}, 1);
      for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
        parameters.moveAverage(share, run.floats("norm", new float[] {bad}, 1));
        assertThat(parameters.saved().toFloats()).containsOnly(0);
      }
      parameters.moveAverage(share, run.floats("norm", new float[] {3}, 1));
      assertThat(parameters.saved().toFloats()).containsOnly(0.25f);
    }
  }

  private static float[] average(Parameters parameters) {
    return Objects.requireNonNull(parameters.average()).toFloats();
  }

  /** Several batches a step; the text encoder stops half way, and its average goes on. */
  @Test
  void shouldMoveOnceAStepAfterIt() {
    tiny.with("gradient_accumulation_steps", 2)
        .with("stop_text_encoder", 0.5)
        .with("num_train_epochs", 3);
    try (TinyTrainer trained = new TinyTrainer(tiny)) {
      assertThat(trained.trainer.training().ema()).isNotNull(); // made when first asked for
      for (int step = 0; step < 8; step++) {
        float[] unet = average(trained.model.parameters(Component.UNET));
        float[] text = average(trained.model.parameters(Component.TEXT_ENCODER));
        trained.train(step + 1);
        double decay = step == 0 ? 0 : Math.min(0.6, (1.0 + step) / (10 + step));
        assertMoved(unet, trained.model.parameters(Component.UNET), 1 - decay);
        assertMoved(text, trained.model.parameters(Component.TEXT_ENCODER), 1 - decay);
      }
    }
  }

  private static void assertMoved(float[] before, Parameters parameters, double share) {
    float[] masters = parameters.masters().toFloats();
    float[] now = average(parameters);
    double error = 0;
    double moved = 0;
    for (int i = 0; i < now.length; i++) {
      double expected = before[i] + share * (masters[i] - before[i]);
      error += Math.pow(now[i] - expected, 2);
      moved += Math.pow(expected - before[i], 2);
    }
    assertThat(moved).isPositive();
    assertThat(Math.sqrt(error / moved)).isLessThan(1e-3);
  }

  @ParameterizedTest
  @CsvSource({"no", "bf16", "fp16"})
  void shouldLeaveTheTrainingAsItIs(String precision) {
    tiny.with("mixed_precision", precision).with("train_text_encoder", true);
    try (TinyTrainer with = new TinyTrainer(tiny).train();
        TinyTrainer without = new TinyTrainer(tiny.with("use_ema", false)).train()) {
      assertThat(with.timeless()).isEqualTo(without.timeless());
      assertThat(with.unet()).isEqualTo(without.unet());
      assertThat(with.text()).isEqualTo(without.text());
      assertThat(average(with.model.parameters(Component.UNET)))
          .isNotEqualTo(with.model.parameters(Component.UNET).masters().toFloats());
      assertThat(without.model.parameters(Component.UNET).average()).isNull();
    }
  }

  /** Its weights change within backward, and the average when all have. */
  @Test
  void shouldBeTheSameWhereGradientsArePassedOn() {
    tiny.with("max_grad_norm", 0).with("train_text_encoder", true);
    try (TinyTrainer plain = new TinyTrainer(tiny).train();
        TinyTrainer passing = new TinyTrainer(tiny.with("fused_backward_pass", true)).train()) {
      assertThat(average(passing.model.parameters(Component.UNET)))
          .isEqualTo(average(plain.model.parameters(Component.UNET)));
      assertThat(average(passing.model.parameters(Component.TEXT_ENCODER)))
          .isEqualTo(average(plain.model.parameters(Component.TEXT_ENCODER)));
    }
  }

  @Test
  void shouldNotMoveInAStepThatIsSkipped() {
    tiny.with("mixed_precision", "fp16").with("ema_warmup", "none");
    Path checkpoint = folder.resolve("checkpoint-0");
    try (TinyTrainer trained = new TinyTrainer(tiny)) {
      trained.saveWithScale(checkpoint, 0x1p30);
      trained.trainer.resume(checkpoint);
      Parameters unet = trained.model.parameters(Component.UNET);
      unet.saved().zero_(); // so that any move would show
      trained.train(1);
      assertThat(trained.reports.get(0).skipped()).isTrue();
      assertThat(average(unet)).containsOnly(0);
    }
  }

  @Test
  void shouldGoOnFromACheckpointBitForBit() {
    tiny.with("stop_text_encoder", 0.5).with("ema_warmup", "power").with("ema_power", 0.3);
    Path checkpoint = folder.resolve("checkpoint-7");
    try (TinyTrainer whole = new TinyTrainer(tiny).train();
        TinyTrainer first = new TinyTrainer(tiny).train(7);
        TinyTrainer second = new TinyTrainer(tiny)) {
      first.trainer.save(checkpoint);
      assertThat(second.trainer.resume(checkpoint)).isEmpty();
      assertThat(average(second.model.parameters(Component.UNET)))
          .isEqualTo(average(first.model.parameters(Component.UNET)));
      second.train();
      second.hasTheStateOf(whole, folder);
    }
  }

  @Test
  void shouldBeginWithTheWeightsOfACheckpointThatHasNone() {
    Path without = folder.resolve("without");
    Path with = folder.resolve("with");
    try (TinyTrainer plain = new TinyTrainer(tiny.with("use_ema", false)).train(3)) {
      plain.trainer.save(without);
      try (TinyTrainer on = new TinyTrainer(tiny.with("use_ema", true))) {
        assertThat(on.trainer.resume(without))
            .containsExactlyInAnyOrder(
                "the checkpoint has no averaged weights (use_ema), so averaging starts from its"
                    + " weights",
                "use_ema was 'false', is 'true'");
        assertThat(average(on.model.parameters(Component.UNET)))
            .isEqualTo(plain.model.parameters(Component.UNET).masters().toFloats());
        on.train(5).trainer.save(with);
        try (TinyTrainer off = new TinyTrainer(tiny.with("use_ema", false))) {
          assertThat(off.trainer.resume(with)).containsExactly("use_ema was 'true', is 'false'");
          assertThat(off.unet()).isEqualTo(on.unet());
        }
      }
    }
  }

  /** An average that hardly moves draws as the base model does. */
  @ParameterizedTest
  @CsvSource({"no", "bf16"})
  void shouldBeWhatSamplesAreDrawnWith(String precision) {
    tiny.with("ema_warmup", "none")
        .with("ema_decay", "0.999999999")
        .with("train_text_encoder", true)
        .with("mixed_precision", precision);
    try (TinyTrainer with = new TinyTrainer(tiny);
        TinyTrainer without = new TinyTrainer(tiny.with("use_ema", false))) {
      List<byte[]> first = with.drawn();
      assertThat(without.drawn()).usingRecursiveComparison().isEqualTo(first);
      with.train();
      without.train();
      assertThat(with.drawn()).usingRecursiveComparison().isEqualTo(first);
      assertThat(without.drawn()).usingRecursiveComparison().isNotEqualTo(first);
      assertThat(with.unet()).isEqualTo(without.unet());
    }
  }

  @Test
  void shouldBeLookedAtBeforeItIsSaved() {
    try (TinyTrainer trained = new TinyTrainer(tiny).train(1)) {
      assertThat(trained.model.firstBadWeight()).isNull();
      trained
          .model
          .parameters(Component.UNET)
          .all()
          .get(2)
          .saved()
          .copyFrom(
              filled(
                  (int) trained.model.parameters(Component.UNET).all().get(2).count(), Float.NaN));
      assertThat(trained.model.firstBadWeight())
          .contains(trained.model.parameters(Component.UNET).all().get(2).name());
    }
  }
}
