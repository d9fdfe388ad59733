package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.data.PairSampler;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code prior: prediction} where all weights train: the base model is asked before they do. */
class PriorPredictionsTest {
  private static final int PICTURES = 5;

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .with("prior", "prediction")
            .with("num_class_images_per", 2)
            .with("learning_rate", 0.01)
            .with("num_train_epochs", 2);
  }

  private static double prior(Trainer.StepReport report) {
    return Objects.requireNonNull(report.losses().prior());
  }

  /** The mean square of what a model says now less what the base model said. */
  private static double loss(TinyTrainer of, StableDiffusion model, PairSampler.Batch batch) {
    PairBatches batches = new PairBatches(of.config, of.model, of.caches);
    PromptEncoder prompts = new PromptEncoder(model, TextEncoding.of(of.config.model()));
    double sum = 0;
    int count = 0;
    for (PairBatches.Asked asked : batches.asked(batch)) {
      PriorPredictions.Prediction known =
          batches.predictions().get(batches.content(asked), batches.elements(asked));
      try (Arena arena = of.run.child("definition");
          Tape tape = Tape.inference(arena)) {
        Tensor time = arena.allocate("t", DType.F32, 1);
        time.copyFrom(new float[] {known.timestep()});
        Tensor noisy = batches.batch(arena, asked).latents();
        noisy.copyFrom(known.noisy());
        float[] said =
            model
                .unet()
                .forward(
                    tape,
                    tape.constant(noisy),
                    time,
                    prompts.encode(arena, List.of(asked.prompt())).map((n, t) -> tape.constant(t)))
                .value()
                .toFloats();
        for (int i = 0; i < said.length; i++) {
          sum += Math.pow(said[i] - known.target()[i], 2);
          count++;
        }
      }
    }
    return sum / count;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"train_text_encoder=false", "train_text_encoder=true", "offset_noise=0.1"})
  void shouldCompareWithWhatTheBaseModelSaid(String keys) {
    tiny.withOptions(keys).with("prior_loss_weight", 1).with("train_batch_size", 2);
    try (TinyTrainer trained = new TinyTrainer(tiny);
        Arena other = Arena.open("base");
        StableDiffusion base = StableDiffusion.load(other, ModelFolder.open(TinyRun.MODEL, null))) {
      List<PairSampler.Batch> epoch = trained.pairs.epoch(0);
      for (int i = 0; i < epoch.size(); i++) {
        assertThat(loss(trained, base, epoch.get(i))).isLessThan(1e-9);
        double expected = loss(trained, trained.model, epoch.get(i));
        trained.train(i + 1);
        assertThat(prior(trained.reports.get(i)))
            .isCloseTo(expected, within(1e-9 + 1e-4 * expected));
      }
      assertThat(prior(trained.reports.get(0))).isLessThan(1e-9);
      assertThat(prior(trained.reports.get(1))).isGreaterThan(1e-6);
    }
  }

  /** With a weight of 0 the same is measured, and moves away from what the base model said. */
  @Test
  void shouldHoldTheClass() {
    tiny.with("with_prior_preservation", true).with("num_train_epochs", 4);
    try (TinyTrainer held = new TinyTrainer(tiny.with("prior_loss_weight", 2)).train();
        TinyTrainer free = new TinyTrainer(tiny.with("prior_loss_weight", 0)).train()) {
      int last = held.reports.size() - 1;
      assertThat(prior(held.reports.get(last))).isLessThan(prior(free.reports.get(last)));
      assertThat(tiny.classImages()).doesNotExist();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train_text_encoder=true use_ema=true",
        "cache_latents=false hflip=true",
        "shuffle_tags=true mixed_precision=bf16 train_batch_size=2"
      })
  void shouldGoOnFromACheckpointBitForBit(String keys) {
    tiny.withOptions(keys);
    Path checkpoint = folder.resolve("checkpoint");
    try (TinyTrainer whole = new TinyTrainer(tiny).train();
        TinyTrainer first = new TinyTrainer(tiny).train(2)) {
      first.trainer.save(checkpoint);
      try (TinyTrainer next = new TinyTrainer(tiny)) {
        assertThat(next.trainer.resume(checkpoint)).isEmpty();
        next.train();
        assertThat(next.unet()).isEqualTo(whole.unet());
        assertThat(next.text()).isEqualTo(whole.text());
        int done = whole.reports.size() - next.reports.size();
        assertThat(next.timeless())
            .isEqualTo(whole.timeless().subList(done, done + next.reports.size()));
      }
    }
  }

  /** Is told of the cache, and ends the process after so many predictions, as a kill would. */
  private static final class Killer implements Caches.Listener {
    private final int after;
    private int there = -1;
    private int made = 0;

    Killer(int after) {
      this.after = after;
    }

    @Override
    public void cached(String what, int there, int all, Path folder) {
      assertThat(what).isEqualTo("predictions");
      assertThat(all).isEqualTo(2 * PICTURES);
      this.there = there;
    }

    @Override
    public void encoded(String what, int done, int missing) {
      made++;
      if (done == after) {
        throw new IllegalStateException("killed");
      }
    }
  }

  /** The files in the cache that hold predictions. */
  private List<Path> cached() throws IOException {
    List<Path> predictions = new ArrayList<>();
    try (Stream<Path> files = Files.walk(tiny.output().resolve("cache"))) {
      for (Path each : files.filter(Files::isRegularFile).toList()) {
        try (Safetensors file = Safetensors.open(each)) {
          if (String.valueOf(file.metadata().get("content")).startsWith("prediction ")) {
            predictions.add(each);
          }
        }
      }
    }
    return predictions;
  }

  private static void ask(TinyTrainer of, Caches.Listener listener) {
    new Trainer(of.run, of.config, of.model, of.pairs, of.caches)
        .askBaseModel(listener, () -> false);
  }

  @Test
  void shouldGoOnWithThePredictionsThatAKilledRunLeft() throws IOException {
    List<Trainer.StepReport> expected;
    try (TinyTrainer whole = new TinyTrainer(tiny.with("cache_latents", false)).train()) {
      expected = whole.timeless();
    }
    try (TinyTrainer trained = new TinyTrainer(tiny.without("cache_latents"))) {
      assertThat(cached()).hasSize(2 * PICTURES);
      for (Path each : cached()) {
        Files.delete(each);
      }
      assertThatExceptionOfType(IllegalStateException.class)
          .isThrownBy(() -> ask(trained, new Killer(3)));
      assertThat(cached()).hasSize(3);
      Killer again = new Killer(-1);
      ask(trained, again);
      assertThat(List.of(again.there, again.made)).containsExactly(3, 2 * PICTURES - 3);
      assertThat(trained.train().timeless()).isEqualTo(expected);
    }
  }

  /** A prediction is that of one model, prompt and draw; a damaged one is made anew. */
  @Test
  void shouldTakeNoPredictionOfAnythingElse() throws IOException {
    String usual = "seed=42 class_token=man mixed_precision=no ";
    List<String> others = List.of("seed=42", "seed=7", "class_token=woman", "mixed_precision=bf16");
    for (int i = 0; i < others.size(); i++) {
      new TinyTrainer(tiny.withOptions(usual + others.get(i))).close();
      assertThat(cached()).as(others.get(i)).hasSize((i + 1) * 2 * PICTURES);
    }
    Path one = cached().get(0);
    byte[] whole = Files.readAllBytes(one);
    byte[] damaged = whole.clone();
    damaged[damaged.length - 9] ^= 1;
    Files.write(one, damaged);
    for (String keys : others) {
      new TinyTrainer(tiny.withOptions(usual + keys)).close();
    }
    assertThat(Files.readAllBytes(one)).isEqualTo(whole);
  }

  /** The model has learnt since: it cannot be asked again. */
  @Test
  void shouldSayHowToGoOnWithoutAPredictionThatIsGone() throws IOException {
    try (TinyTrainer trained = new TinyTrainer(tiny).train(1)) {
      for (Path each : cached()) {
        Files.delete(each);
      }
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(trained::train)
          .withMessageContaining("is missing or damaged")
          .withMessageContaining("continue with resume_from_checkpoint: latest");
    }
  }

  @Test
  void shouldRunWhole() throws IOException {
    assertThat(TinyRun.run(tiny.config())).isTrue();
    assertThat(tiny.output().resolve("unet")).isDirectory();
    assertThat(tiny.classImages()).doesNotExist();
    String metrics = Files.readString(tiny.output().resolve("metrics.jsonl"));
    assertThat(metrics).contains("prior");
  }
}
