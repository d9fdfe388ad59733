package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.pipeline.LongPrompts;
import dreambooth4j.pipeline.NewWords;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.EmbeddingWriter;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.Safetensors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Textual inversion: vectors of new words train, alone or with the rest. */
class EmbeddingTest {
  private static final String TABLE = "embeddings.token_embedding.weight";

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("instance_token", "<my-cat>")
            .with("placeholder_token", "<my-cat>")
            .with("num_vectors", 2)
            .with("num_train_epochs", 2);
  }

  private static List<Group> words(TinyTrainer trainer) {
    return trainer.model.trained().stream()
        .filter(group -> group.parameters().all().get(0).name().contains("added_tokens"))
        .toList();
  }

  /** The vectors of the words, [tokens, width]; a copy. */
  private static List<Float> vectors(TinyTrainer trainer) {
    Parameter table = words(trainer).get(0).parameters().all().get(0);
    List<Float> values = new ArrayList<>();
    for (float each : table.master().toFloats()) {
      values.add(each);
    }
    return values;
  }

  private static List<Float> twice(List<Float> row) {
    List<Float> both = new ArrayList<>(row);
    both.addAll(row);
    return both;
  }

  @Test
  void shouldTrainTheVectorsAloneFromAWordsVector() {
    tiny.with("train_unet", false).with("initializer_token", "the");
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      Map<String, List<Float>> unet = trainer.weights(Component.UNET);
      Map<String, List<Float>> text = trainer.weights(Component.TEXT_ENCODER);
      List<Float> before = vectors(trainer);
      int width = before.size() / 2;
      int the = (int) trainer.model.tokenizer().words("the")[0];
      List<Float> table = text.getOrDefault(TABLE, List.of());
      assertThat(before).isEqualTo(twice(table.subList(the * width, (the + 1) * width)));

      trainer.train();

      assertThat(trainer.model.trained()).hasSize(1).isEqualTo(words(trainer));
      assertThat(trainer.weights(Component.UNET)).isEqualTo(unet);
      assertThat(trainer.weights(Component.TEXT_ENCODER)).isEqualTo(text);
      assertThat(vectors(trainer)).isNotEqualTo(before).doesNotContain(Float.NaN);
      assertThat(trainer.trainer.stateBytes()).isLessThan(100_000);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"use_lora=true", "use_lora=true train_text_encoder=true"})
  void shouldLeaveTheTableOfTheOtherWordsBesideLora(String keys) {
    tiny.withOptions(keys);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      Map<String, List<Float>> text = trainer.weights(Component.TEXT_ENCODER);
      List<Float> before = vectors(trainer);
      trainer.train();
      assertThat(trainer.weights(Component.TEXT_ENCODER)).isEqualTo(text);
      assertThat(vectors(trainer)).isNotEqualTo(before);
      assertThat(trainer.trainer.trained()).hasSize(keys.contains("text") ? 3 : 2);
    }
  }

  @Test
  void shouldGoOnWithTheWordsOnceTheTextEncoderStays() {
    tiny.with("stop_text_encoder", 0.5);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      int half = trainer.trainer.stepsPerEpoch();
      trainer.train(half);
      Map<String, List<Float>> text = trainer.text();
      List<Float> before = vectors(trainer);
      trainer.train();
      assertThat(trainer.text()).isEqualTo(text);
      assertThat(vectors(trainer)).isNotEqualTo(before);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train_unet=false use_ema=true",
        "train_unet=false mixed_precision=bf16 embedding_learning_rate=0.01",
        "train_unet=false frozen_dtype=bf16 gradient_checkpointing=true",
        "use_lora=true mixed_precision=fp16",
        "stop_text_encoder=0.5 gradient_accumulation_steps=2",
        "fused_backward_pass=true max_grad_norm=0 use_8bit_adam=true"
      })
  void shouldGoOnFromACheckpointBitForBit(String keys) {
    tiny.withOptions(keys);
    TinyTrainer.goesOnBitForBit(tiny, folder, 2);
  }

  /** Both ways a word's vectors are what the text encoder reads at its place. */
  @Test
  void shouldReadAWordAsTheTableWouldHaveIt() {
    tiny.with("initializer_token", "the, you").with("placeholder_token", "<a>, <b>");
    tiny.with("num_vectors", 1).with("instance_token", "<a> <b>");
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      PromptEncoder encoder = new PromptEncoder(trainer.model, TextEncoding.USUAL);
      try (Arena arena = Arena.open("prompts")) {
        assertThat(encoder.encode(arena, List.of("a <A>, <b> too")).hiddenStates().toFloats())
            .isEqualTo(encoder.encode(arena, List.of("a the, you too")).hiddenStates().toFloats());
      }
    }
  }

  @Test
  void shouldSaveAFileUnderTheWordAndGoOnFromIt() {
    tiny.with("train_unet", false);
    Path output = folder.resolve("saved");
    List<Float> learnt;
    Path file;
    try (TinyTrainer first = new TinyTrainer(tiny).train()) {
      first.model.save(first.run, Map.of("ss_clip_skip", "1"), output);
      file = first.model.result(output);
      learnt = vectors(first);
    }
    assertThat(file).isEqualTo(output.resolve("embeddings/my-cat.safetensors"));
    assertThat(output.resolve("unet")).doesNotExist();
    try (Safetensors saved = Safetensors.open(file);
        Arena arena = Arena.open("saved")) {
      assertThat(saved.tensors()).containsOnlyKeys("<my-cat>");
      assertThat(saved.info("<my-cat>").dtype()).isEqualTo(DType.F32);
      assertThat(saved.info("<my-cat>").shape()).containsExactly(2L, learnt.size() / 2L);
      List<Float> written = new ArrayList<>();
      for (float each : saved.read(arena, "<my-cat>").toFloats()) {
        written.add(each);
      }
      assertThat(written).isEqualTo(learnt);
    }
    tiny.with("embedding_weights", file).without("num_vectors");
    try (TinyTrainer next = new TinyTrainer(tiny)) {
      assertThat(vectors(next)).isEqualTo(learnt);
      assertThat(next.train(1).reports).hasSize(1);
    }
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    try (Arena arena = Arena.open("drawing");
        StableDiffusion model =
            StableDiffusion.load(arena, NewWords.of(base, Collections.singletonMap(file, null)))) {
      assertThat(model.tokenizer().words("<my-cat>")).hasSize(2);
      assertThat(model.trained()).isEmpty();
    }
  }

  @Test
  void shouldSaveTheModelWithoutTheWordAndTheWordBesideIt() throws IOException {
    Path output = folder.resolve("saved");
    try (TinyTrainer first = new TinyTrainer(tiny.with("train_text_encoder", true)).train(1)) {
      first.model.save(first.run, Map.of(), output);
      assertThat(first.model.result(output)).isEqualTo(output);
    }
    assertThat(output.resolve("embeddings/my-cat.safetensors")).exists();
    assertThat(Files.readString(output.resolve("tokenizer/tokenizer.json")))
        .doesNotContain("my-cat");
    try (Safetensors text = Safetensors.open(output.resolve("text_encoder/model.safetensors"))) {
      assertThat(text.tensors().keySet()).noneMatch(name -> name.contains("added"));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"train_unet=false", "text_encoder_use_attention_mask=true"})
  void shouldHoldNoMoreAfterMoreSteps(String keys) {
    tiny.withOptions(keys).with("num_train_epochs", 4);
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      int epoch = trainer.trainer.stepsPerEpoch();
      trainer.train(2 * epoch);
      long held = trainer.run.meter().liveCount();
      trainer.train();
      assertThat(trainer.run.meter().liveCount()).isEqualTo(held);
    }
  }

  @Test
  void shouldPlanForTheVectorsAlone() {
    tiny.with("gradient_checkpointing", false);
    MemoryPlan all = TinyRun.forecast(tiny.config(), Long.MAX_VALUE).plan();
    MemoryPlan alone =
        TinyRun.forecast(tiny.with("train_unet", false).config(), Long.MAX_VALUE).plan();
    assertThat(alone.gradients()).isLessThan(all.gradients() / 20);
    assertThat(alone.optimizer()).isLessThan(all.optimizer() / 20);
    assertThat(alone.tensors()).isLessThan(all.tensors());
  }

  @Test
  void shouldPlanForTheVectorsAloneOnAGpu() {
    tiny.with("train_unet", false);
    MemoryForecast forecast = TinyRun.forecast(tiny.config(), Long.MAX_VALUE);
    assertThat(forecast.optionsOnGpu(false)).isNotEmpty();
    assertThat(forecast.optionsOnGpu(true)).isNotEmpty();
  }

  @Test
  void shouldRefuseWordsOfWhichOneFileWouldBeWrittenOverTheOthers() {
    tiny.with("placeholder_token", "<my-cat>, *my-cat*");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> new TinyTrainer(tiny))
        .withMessageContaining("<my-cat> and *my-cat* would both be saved as");
  }

  @ParameterizedTest
  @ValueSource(strings = {"<b>, <a>", "<a>, <c>"})
  void shouldRefuseToTakeOneWordsVectorsForAnothers(String others) {
    tiny.with("placeholder_token", "<a>, <b>").with("train_unet", false);
    Path checkpoint = folder.resolve("checkpoint-1");
    try (TinyTrainer first = new TinyTrainer(tiny).train(1)) {
      first.trainer.save(checkpoint);
    }
    try (TinyTrainer same = new TinyTrainer(tiny.with("placeholder_token", "<A>, <B>"))) {
      assertThat(same.trainer.resume(checkpoint))
          .containsExactly("placeholder_token was '<a>, <b>', is '<A>, <B>'");
    }
    try (TinyTrainer other = new TinyTrainer(tiny.with("placeholder_token", others))) {
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> other.trainer.resume(checkpoint))
          .withMessageContaining("it has learnt the words <a> (2), <b> (2), and this run trains <")
          .withMessageContaining(
              "set placeholder_token and num_vectors as they were, or start a new run");
    }
  }

  @Test
  void shouldRefuseToTakeTwoWordsVectorsForThoseOfOneOfTwiceAsMany() {
    tiny.with("placeholder_token", "<a>, <b>").with("train_unet", false);
    Path checkpoint = folder.resolve("checkpoint-1");
    try (TinyTrainer first = new TinyTrainer(tiny).train(1)) {
      first.trainer.save(checkpoint);
    }
    tiny.with("placeholder_token", "<a>").with("num_vectors", 4);
    try (TinyTrainer other = new TinyTrainer(tiny)) {
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> other.trainer.resume(checkpoint))
          .withMessageContaining("<a> (2), <b> (2), and this run trains <a> (4) (in brackets, how");
    }
    tiny.without("placeholder_token").without("num_vectors").with("train_unet", true);
    try (TinyTrainer none = new TinyTrainer(tiny)) {
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> none.trainer.resume(checkpoint))
          .withMessageContaining("and this run trains none");
    }
  }

  @Test
  void shouldReportTheLearningRateOfTheWordsWhereTheyTrainAlone() {
    tiny.with("embedding_learning_rate", 0.01).with("lr_scheduler", "constant");
    try (TinyTrainer both = new TinyTrainer(tiny).train(1);
        TinyTrainer alone = new TinyTrainer(tiny.with("train_unet", false)).train(1)) {
      assertThat(both.reports.get(0).learningRate()).isEqualTo(0.001);
      assertThat(alone.reports.get(0).learningRate()).isCloseTo(0.01, within(1e-9));
    }
  }

  @Test
  void shouldSayThatAWordOfManyVectorsIsCutOff() {
    tiny.with("num_vectors", 75).with("instance_prompt", "a photo of <my-cat>");
    assertThat(LongPrompts.notesOf(tiny.config(), Concept.scanAll(tiny.config()), Map.of(), 3))
        .anyMatch(note -> note.contains("of which 75 are read"));
  }

  @Test
  void shouldNameAFileForNoMoreOfAWordThanNamesOfFilesMayHave() {
    String word = Character.toString(0x20000).repeat(75);
    String name = EmbeddingWriter.file(folder, word).getFileName() + "";
    assertThat(name.getBytes(StandardCharsets.UTF_8)).hasSizeLessThan(230);
  }

  @Test
  void shouldRefuseAWordThatNobodyCouldLearn() {
    tiny.with("placeholder_token", "<dog>");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> NewWords.requireUsed(tiny.config(), Concept.scanAll(tiny.config())))
        .withMessageContaining("<dog> is in no prompt")
        .withMessageContaining("instance_prompt");
    tiny.with("placeholder_token", "the");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> new TinyTrainer(tiny))
        .withMessageContaining("knows the as a word of its own: take another, such as <the>");
  }
}
