package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.data.PairSampler;
import dreambooth4j.data.TestPictures;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.Staged;
import dreambooth4j.engine.Threads;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.Component;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainerTest {
  private static final String MAY_DIFFER =
      "from here on the last digits may differ from those of a run without the break";

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny = new TinyRun(folder).withPaintedClassImages().with("num_train_epochs", 2);
  }

  private static Set<String> changed(
      Map<String, List<Float>> now, Map<String, List<Float>> before) {
    Set<String> names = new TreeSet<>(now.keySet());
    names.removeIf(name -> Objects.equals(now.get(name), before.get(name)));
    return names;
  }

  @Test
  void shouldGiveTheSameWeightsForTheSameSeedBitForBit() {
    tiny.with("train_text_encoder", true).with("train_batch_size", 2).with("shuffle_tags", true);
    try (TinyTrainer first = new TinyTrainer(tiny).train();
        TinyTrainer again = new TinyTrainer(tiny).train()) {
      assertThat(again.timeless()).isEqualTo(first.timeless());
      assertThat(again.unet()).isEqualTo(first.unet());
      assertThat(again.text()).isEqualTo(first.text());
      try (TinyTrainer other = new TinyTrainer(tiny.with("seed", 43)).train()) {
        Set<String> alike = new TreeSet<>(first.unet().keySet());
        alike.removeAll(changed(other.unet(), first.unet()));
        assertThat(alike).allMatch(TinyModel::attendsToOnePixel);
      }
    }
  }

  /** What a run reads from a device and writes to it, checkpoints too, goes by way of copies. */
  @Test
  void shouldLearnTheSameWhereTheHostCannotLookIntoMemory() {
    tiny.with("train_text_encoder", true).with("offset_noise", 0.1);
    Path checkpoint = folder.resolve("checkpoint-1");
    try (TinyTrainer plain = new TinyTrainer(tiny).train(2);
        TinyTrainer first = new TinyTrainer(tiny, Staged.open("run")).train(1);
        TinyTrainer resumed = new TinyTrainer(tiny, Staged.open("run"))) {
      first.trainer.save(checkpoint);
      assertThat(resumed.trainer.resume(checkpoint)).isEmpty();
      resumed.train(2);
      assertThat(resumed.unet()).isEqualTo(plain.unet());
      assertThat(resumed.text()).isEqualTo(plain.text());
    }
  }

  /** Three pictures of one size and two of another: batches of 2, 1 and 2 pairs. */
  @Test
  void shouldShowEveryPictureOnceAnEpochAndKeepShortBatches() {
    try (TinyTrainer trained = new TinyTrainer(tiny.with("train_batch_size", 2)).train()) {
      assertThat(trained.reports).extracting(r -> r.step()).containsExactly(1, 2, 3, 4, 5, 6);
      for (int epoch = 0; epoch < 2; epoch++) {
        assertThat(trained.reports.subList(3 * epoch, 3 * epoch + 3))
            .extracting(r -> r.pictures())
            .containsExactlyInAnyOrder(4, 2, 4);
      }
      assertThat(trained.reports)
          .allSatisfy(
              r -> {
                double prior = Objects.requireNonNull(r.losses().prior());
                assertThat(prior).isPositive();
                assertThat(r.losses().total())
                    .isCloseTo(r.losses().instance() + 0.4 * prior, within(1e-6));
              });
    }
  }

  /** More class images change which are seen, never how many. */
  @Test
  void shouldSeeAsManyClassImagesAsInstancesHoweverManyThereAre() throws IOException {
    tiny.withPaintedClassImages().with("num_class_images_per", 1);
    for (int i = 0; i < 5; i++) {
      TestPictures.paint(folder.resolve("class"), "more" + i, 32, 32, "man, hat", 200 + i);
    }
    try (TinyTrainer trained = new TinyTrainer(tiny.with("train_batch_size", 3)).train()) {
      assertThat(trained.reports).extracting(r -> r.pictures()).containsOnly(6, 4);
    }
  }

  @Test
  void shouldTrainWithoutClassImages() {
    try (TinyTrainer trained = new TinyTrainer(tiny.withoutClass()).train(3)) {
      assertThat(trained.reports).extracting(r -> r.pictures()).containsOnly(1);
      assertThat(trained.reports).allMatch(r -> r.losses().prior() == null);
      assertThat(trained.reports)
          .allMatch(r -> r.losses().total() == r.losses().instance() && r.gradientNorm() > 0);
    }
  }

  @Test
  void shouldLetThePriorLossWeightFallWithTheEpoch() {
    tiny.with("prior_loss_scale", true)
        .with("prior_loss_target", 2)
        .with("prior_loss_weight_min", 0)
        .with("train_batch_size", 3)
        .with("num_train_epochs", 3);
    try (TinyTrainer trained = new TinyTrainer(tiny).train()) {
      assertThat(trained.reports)
          .extracting(r -> r.priorLossWeight())
          .containsExactly(0.4, 0.4, 0.2, 0.2, 0.0, 0.0);
      assertThat(trained.reports.subList(4, 6))
          .allMatch(r -> r.losses().total() == r.losses().instance());
    }
  }

  /** The same pairs with the same draws, in one batch of two and in two of one. */
  @Test
  void shouldGatherTheSameGradientsFromOneBatchAsFromItsParts() {
    tiny.with("train_batch_size", 2).with("train_text_encoder", true).with("offset_noise", 0.1);
    try (TinyTrainer tried = new TinyTrainer(tiny)) {
      PairBatches batches = new PairBatches(tried.config, tried.model, tried.caches);
      PairSampler.Batch both =
          tried.pairs.epoch(0).stream()
              .filter(b -> b.pairs().size() == 2)
              .findFirst()
              .orElseThrow();
      accumulate(tried, batches, List.of(both));
      float[] whole = tried.model.parameters(Component.UNET).gradients().toFloats();
      float[] wholeText = tried.model.parameters(Component.TEXT_ENCODER).gradients().toFloats();
      tried.model.parameters(Component.UNET).gradients().zero_();
      tried.model.parameters(Component.TEXT_ENCODER).gradients().zero_();
      accumulate(
          tried,
          batches,
          both.pairs().stream()
              .map(one -> new PairSampler.Batch(both.bucket(), List.of(one)))
              .toList());
      assertThat(error(tried.model.parameters(Component.UNET).gradients().toFloats(), whole))
          .isLessThan(1e-5);
      assertThat(
              error(
                  tried.model.parameters(Component.TEXT_ENCODER).gradients().toFloats(), wholeText))
          .isLessThan(1e-5);
    }
  }

  private static void accumulate(
      TinyTrainer tried, PairBatches batches, List<PairSampler.Batch> parts) {
    List<Function<Arena, TrainingBatch>> made = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      int first = i;
      made.add(arena -> batches.batch(arena, parts.get(first), 7, first, true));
    }
    tried.trainer.training().write(new StepSettings(7, 0, 0.4, 1, 0), parts.size());
    tried.trainer.training().gradients(made);
  }

  private static double error(float[] actual, float[] expected) {
    double difference = 0;
    double size = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(actual[i] - expected[i], 2);
      size += Math.pow(expected[i], 2);
    }
    assertThat(size).isPositive();
    return Math.sqrt(difference / size);
  }

  @Test
  void shouldCountAccumulatedBatchesAsOneStep() {
    tiny.with("gradient_accumulation_steps", 2).with("max_train_steps", 4);
    try (TinyTrainer trained = new TinyTrainer(tiny).train()) {
      assertThat(trained.reports).extracting(r -> r.pictures()).containsExactly(4, 4, 2, 4);
      assertThat(trained.reports).extracting(r -> r.epoch()).containsExactly(0, 0, 0, 1);
    }
  }

  @Test
  void shouldGoOnFromACheckpointAsIfItHadNotStopped() {
    tiny.with("stop_text_encoder", 0.6)
        .with("shuffle_tags", true)
        .with("hflip", true)
        .with("offset_noise", 0.1)
        .with("snr_gamma", 5)
        .with("train_batch_size", 2)
        .with("lr_scheduler", "cosine")
        .with("lr_warmup_steps", 2)
        .with("num_train_epochs", 4);
    for (int stopped : new int[] {4, 10}) { // while the text encoder trains, and after
      Path checkpoint = folder.resolve("checkpoint-" + stopped);
      try (TinyTrainer whole = new TinyTrainer(tiny).train();
          TinyTrainer first = new TinyTrainer(tiny).train(stopped)) {
        first.trainer.save(checkpoint);
        try (TinyTrainer second = new TinyTrainer(tiny)) {
          second.trainer.resume(checkpoint);
          assertThat(second.trainer.done()).isEqualTo(stopped);
          second.train();
          assertThat(second.timeless())
              .isEqualTo(whole.timeless().subList(stopped, whole.reports.size()));
          assertThat(second.unet()).isEqualTo(whole.unet());
          assertThat(second.text()).isEqualTo(whole.text());
          second.hasTheStateOf(whole, folder);
        }
      }
    }
  }

  @Test
  void shouldRefuseAForeignCheckpoint() {
    Path checkpoint = folder.resolve("checkpoint");
    try (TinyTrainer first = new TinyTrainer(tiny)) {
      first.trainer.save(checkpoint);
    }
    try (TinyTrainer other = new TinyTrainer(tiny.with("seed", 1))) {
      assertThatThrownBy(() -> other.trainer.resume(checkpoint))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("its seed is 42, this run's 1");
    }
    tiny.with("seed", 42).with("use_8bit_adam", true);
    try (TinyTrainer other = new TinyTrainer(tiny)) {
      assertThatThrownBy(() -> other.trainer.resume(checkpoint))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("use_8bit_adam was set otherwise");
    }
    tiny.without("use_8bit_adam").with("train_text_encoder", true);
    try (TinyTrainer other = new TinyTrainer(tiny)) {
      assertThatThrownBy(() -> other.trainer.resume(checkpoint))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("its weights are not those that this run trains");
    }
  }

  /** Libraries round each in its way, so going on with another is not going on exactly. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      nullValues = "none",
      value = {
        "Xopenblas; none",
        "MKL 2025.3-1.5.13; DREAMBOOTH_BLAS=mkl",
        "OpenBLAS 0.1; DREAMBOOTH_BLAS=openblas-auto",
        "OpenBLAS 0.1, OPENBLAS_CORETYPE=Zen; DREAMBOOTH_BLAS=openblas OPENBLAS_CORETYPE=Zen",
      })
  void shouldSayThatAnotherLibraryMultipliedMatrices(String then, @Nullable String setting) {
    String wayOut = setting == null ? "" : " (" + setting + " takes the first again)";
    assertThat(resumedAfter("library of matrix products", then))
        .containsExactly(
            "library of matrix products was '%s', is '%s'%s: %s"
                .formatted(then, Platform.blas(), wayOut, MAY_DIFFER));
  }

  /** OpenBLAS multiplies on both, but oneDNN takes most products of it where it is faster. */
  @Test
  void shouldSayThatOtherInstructionsComputed() {
    assertThat(resumedAfter("set of instructions", "SSE2"))
        .containsExactly(
            "set of instructions was 'SSE2', is '%s': %s"
                .formatted(Platform.instructions(), MAY_DIFFER));
  }

  @Test
  void shouldSayThatAnotherNumberOfThreadsComputes() {
    Path checkpoint = folder.resolve("checkpoint");
    try (TinyTrainer first = new TinyTrainer(tiny)) {
      first.trainer.save(checkpoint);
    }
    int before = Threads.used();
    try (TinyTrainer second = new TinyTrainer(tiny)) {
      torch.set_num_threads(before + 1);
      assertThat(second.trainer.resume(checkpoint))
          .containsExactly(
              "number of threads was '%d', is '%d' (OMP_NUM_THREADS=%d takes the first again): %s"
                  .formatted(before, before + 1, before, MAY_DIFFER));
    } finally {
      torch.set_num_threads(before);
    }
  }

  @Test
  void shouldSayThatAnEarlierVersionDidNotRecordWhatComputed() {
    String library = "library of matrix products";
    assertThat(resumedFrom(Map.of(library, Platform.blas())))
        .containsExactly(
            "an earlier version did not record what computed its numbers: " + MAY_DIFFER);
  }

  /** What a run says that goes on from a checkpoint with one of these recorded otherwise. */
  private List<String> resumedAfter(String name, String otherwise) {
    Map<String, String> recorded = Rounding.on(Device.CPU);
    recorded.put(name, otherwise);
    return resumedFrom(recorded);
  }

  private List<String> resumedFrom(Map<String, String> recorded) {
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      Path checkpoint = folder.resolve("checkpoint");
      trainer.saveWith(checkpoint, recorded);
      return trainer.trainer.resume(checkpoint);
    }
  }

  /** As with diffusers, where what gets no gradient is left alone: no moments, no decay. */
  @Test
  void shouldLeaveTheTextEncoderAloneAfterItsPart() {
    tiny.with("stop_text_encoder", 0.5)
        .with("adam_weight_decay", 0.1)
        .with("train_batch_size", 3)
        .with("num_train_epochs", 2);
    try (TinyTrainer trained = new TinyTrainer(tiny)) {
      Map<String, List<Float>> before = trained.text();
      Map<String, List<Float>> atStop = trained.train(2).text();
      assertThat(changed(atStop, before)).isEqualTo(before.keySet());
      Map<String, List<Float>> unet = trained.unet();
      trained.train();
      assertThat(trained.text()).isEqualTo(atStop);
      assertThat(changed(trained.unet(), unet)).isEqualTo(unet.keySet());
    }
  }

  @Test
  void shouldLeaveAFrozenTextEncoderAsItIs() {
    try (TinyTrainer trained = new TinyTrainer(tiny)) {
      Map<String, List<Float>> before = trained.text();
      assertThat(trained.train(3).text()).isEqualTo(before);
    }
  }

  @Test
  void shouldNotEvenDecayTheLayersThatClipSkipPassesOver() {
    tiny.with("train_text_encoder", true).with("clip_skip", 2).with("adam_weight_decay", 0.1);
    try (TinyTrainer trained = new TinyTrainer(tiny)) {
      Map<String, List<Float>> before = trained.text();
      Set<String> expected = new TreeSet<>(before.keySet());
      expected.removeIf(name -> name.startsWith("encoder.layers.2."));
      assertThat(expected).hasSizeLessThan(before.size());
      assertThat(changed(trained.train(2).text(), before)).isEqualTo(expected);
    }
  }

  @Test
  void shouldRefuseAClipSkipBeyondTheModelsLayers() {
    tiny.with("train_text_encoder", true).with("clip_skip", 5);
    assertThatThrownBy(() -> new TinyTrainer(tiny))
        .isInstanceOf(Problem.class)
        .hasMessage("clip_skip is 5, but with this text encoder it is from 1 to 3");
  }

  private static List<Float> embedding(TinyTrainer trained, String word) {
    int token = (int) trained.model.tokenizer().encode(word)[1];
    int width = trained.model.readers().get(0).encoder().config().width();
    return Objects.requireNonNull(trained.text().get("embeddings.token_embedding.weight"))
        .subList(token * width, (token + 1) * width);
  }

  @Test
  void shouldTrainTheWordsOfEveryWindow() throws IOException {
    tiny.withoutClass().with("train_text_encoder", true).with("adam_weight_decay", 0);
    Files.writeString(tiny.pictures().resolve("p0.txt"), "sks, " + "hat, ".repeat(40) + "zebra");
    for (int length : new int[] {75, 150}) {
      try (TinyTrainer trained = new TinyTrainer(tiny.with("max_token_length", length))) {
        List<Float> before = embedding(trained, "zebra");
        trained.train();
        assertThat(embedding(trained, "zebra").equals(before)).isEqualTo(length == 75);
      }
    }
  }

  private static float[] states(TinyTrainer tried, int step) {
    PairBatches batches = new PairBatches(tried.config, tried.model, tried.caches);
    PairSampler.Batch batch = tried.pairs.epoch(0).get(0);
    return batches.batch(tried.run, batch, step, 0, false).prompts().hiddenStates().toFloats();
  }

  /** What is drawn anew is encoded anew, though the text encoder does not train. */
  @Test
  void shouldEncodeInTheStepWhatTheStepDraws() {
    try (TinyTrainer plain = new TinyTrainer(tiny)) {
      assertThat(states(plain, 1)).isEqualTo(states(plain, 0));
    }
    try (TinyTrainer without = new TinyTrainer(tiny.with("caption_dropout_rate", 1))) {
      PromptEncoder encoder = new PromptEncoder(without.model, TextEncoding.USUAL);
      assertThat(states(without, 0))
          .isEqualTo(encoder.encode(without.run, List.of("", "")).hiddenStates().toFloats());
    }
    tiny.with("caption_dropout_rate", 0).with("caption_tag_dropout_rate", 0.5);
    try (TinyTrainer drawn = new TinyTrainer(tiny)) {
      assertThat(
              IntStream.range(0, 8)
                  .mapToObj(step -> Arrays.hashCode(states(drawn, step)))
                  .distinct())
          .hasSizeGreaterThan(1);
    }
  }
}
