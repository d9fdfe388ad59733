package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.ConfigWriter;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.LoraUse;
import dreambooth4j.weights.MergedModel;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Samples of a run that are drawn with LoRAs which it does not train. */
class SampleLorasTest {
  private static final Path OF_SDXL =
      Path.of("src/test/resources/goldens/lora/sdxl-all.kohya.safetensors");

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("learning_rate", 0.01)
            .with("num_train_epochs", 2);
  }

  /** A LoRA of the tiny model that changes both of its parts, in a folder of its own. */
  private Path lora(String kind) throws IOException {
    TinyRun run =
        new TinyRun(folder.resolve(kind))
            .withPaintedClassImages()
            .withOptions("use_lora=true learning_rate=0.02 train_text_encoder=true")
            .withOptions("lora_targets=convolutions lora_kind=" + kind);
    try (TinyTrainer trained = new TinyTrainer(run).train(3)) {
      trained.model.save(trained.run, Map.of(), run.output());
      return trained.model.result(run.output());
    }
  }

  /** What {@code generate --lora} draws: the file's change in the weights of the saved model. */
  private static List<byte[]> drawnWith(TinyTrainer trained, Path model, LoraUse... loras) {
    try (Arena run = Arena.open("merged");
        MergedModel merged = MergedModel.of(ModelFolder.open(model, null), List.of(loras));
        StableDiffusion loaded = StableDiffusion.load(run, merged)) {
      return TinyTrainer.drawn(trained.config, loaded, run);
    }
  }

  @ParameterizedTest
  @CsvSource({"lora, use_ema=true", "dora, train_text_encoder=true", "lokr, mixed_precision=bf16"})
  void shouldDrawAsTheSavedModelDoesWithTheLora(String kind, String keys) throws IOException {
    Path lora = lora(kind);
    tiny.withOptions(keys);
    try (TinyTrainer plain = new TinyTrainer(tiny).train();
        TinyTrainer shown = new TinyTrainer(tiny.with("sample_loras", lora + ":0.7"))) {
      shown.train(1);
      shown.drawn();
      shown.train();
      List<byte[]> pictures = shown.drawn();
      shown.model.save(shown.run, Map.of(), tiny.output());
      // Drawing leaves no trace, neither in what is trained on from there nor in what is saved.
      assertThat(shown.timeless()).isEqualTo(plain.timeless());
      assertThat(shown.unet()).isEqualTo(plain.unet());
      assertThat(shown.text()).isEqualTo(plain.text());
      List<byte[]> without = plain.drawn();
      assertThat(drawnWith(plain, tiny.output())).usingRecursiveComparison().isEqualTo(without);
      assertThat(pictures)
          .usingRecursiveComparison()
          .isNotEqualTo(without)
          .isEqualTo(drawnWith(plain, tiny.output(), new LoraUse(lora, 0.7)));
    }
  }

  /** The trained LoRA is computed around the changed layers, and merged into them by generate. */
  @Test
  void shouldDrawATrainedLoraWithAnother() throws IOException {
    Path style = lora("lora");
    tiny.withOptions("use_lora=true lora_kind=dora").with("sample_loras", style);
    try (TinyTrainer trained = new TinyTrainer(tiny).train()) {
      Map<String, List<Float>> base = trained.weights(Component.UNET);
      List<byte[]> pictures = trained.drawn();
      assertThat(trained.weights(Component.UNET)).isEqualTo(base);
      trained.model.save(trained.run, Map.of(), tiny.output());
      LoraUse own = new LoraUse(trained.model.result(tiny.output()), 1);
      TinyTrainer how = new TinyTrainer(tiny.without("sample_loras"));
      List<byte[]> expected = drawnWith(how, TinyRun.MODEL, new LoraUse(style, 1), own);
      how.close();
      for (int i = 0; i < expected.get(0).length; i++) {
        int difference = (pictures.get(0)[i] & 0xff) - (expected.get(0)[i] & 0xff);
        assertThat(Math.abs(difference)).isLessThanOrEqualTo(1);
      }
      assertThat(pictures)
          .usingRecursiveComparison()
          .isNotEqualTo(TinyTrainer.drawn(how.config, trained.model, trained.run));
    }
  }

  @Test
  void shouldLeaveTheWeightsWhereDrawingIsStopped() throws IOException {
    tiny.with("sample_loras", lora("lora"));
    try (TinyTrainer trained = new TinyTrainer(tiny).train(1)) {
      SamplePictures samples =
          new SamplePictures(trained.config, trained.model, Concept.scanAll(trained.config));
      Map<String, List<Float>> before = trained.unet();
      List<byte[]> whole = trained.drawn();
      long held = trained.run.meter().liveBytes();
      assertThatExceptionOfType(CancellationException.class)
          .isThrownBy(() -> samples.draw(trained.run, () -> true));
      assertThat(trained.run.meter().liveBytes()).isEqualTo(held);
      assertThat(trained.unet()).isEqualTo(before);
      assertThat(trained.drawn()).usingRecursiveComparison().isEqualTo(whole);
    }
  }

  @ParameterizedTest
  @CsvSource({"lora, 1", "lora, 12"})
  void shouldPlanTheMemoryOfTheChangedWeights(String kind, int pictures) throws IOException {
    tiny.withoutClass()
        .with("n_save_sample", 0)
        .with("validation_prompt", "a man")
        .with("num_validation_images", pictures)
        .with("sample_loras", lora(kind));
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      long before = trainer.run.meter().liveBytes();
      trainer.run.meter().resetPeak();
      trainer.drawn();
      long measured = trainer.run.meter().peakBytes() - before;
      long planned = TinyRun.forecast(trainer.config, Long.MAX_VALUE).plan().pictures();
      assertThat(planned).isBetween((long) (0.95 * measured), (long) (1.05 * measured));
    }
  }

  @Test
  void shouldRefuseALoraOfAnotherModelBeforeTheRunBegins() {
    Config config = tiny.with("sample_loras", OF_SDXL).config();
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> TinyRun.run(config))
        .withMessageContaining("sdxl-all.kohya.safetensors: ")
        .withMessageContaining("are no factors of a LoRA, LoHa or LoKr of this model's layers");
    assertThat(tiny.output()).doesNotExist();
    Config missing = tiny.with("sample_loras", "none.safetensors:0.5").config();
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> TinyRun.run(missing))
        .withMessageContaining("none.safetensors");
  }

  @Test
  void shouldReadAListOrATextWithCommas() throws IOException {
    Path file = folder.resolve("config.yaml");
    Files.writeString(file, "instance_data_dir: a\nsample_loras: [a b.safetensors:0.7, 'x,y']\n");
    Config config = ConfigReader.read(file, Map.of()).config();
    assertThat(config.samples().loras())
        .extracting(Object::toString)
        .containsExactly(
            folder.resolve("a b.safetensors:0.7") + "", folder.resolve("x,y:1.0") + "");
    Files.writeString(file, ConfigWriter.toYaml(config));
    assertThat(ConfigReader.read(file, Map.of()).config().samples().loras())
        .isEqualTo(config.samples().loras());
    Map<String, String> flags = Map.of("sample_loras", "/a.safetensors:0.5, /b.safetensors");
    assertThat(ConfigReader.read(file, flags).config().samples().loras())
        .extracting(Object::toString)
        .containsExactly("/a.safetensors:0.5", "/b.safetensors:1.0");
    Files.writeString(file, "instance_data_dir: a\nsample_loras: [{a: b}]\n");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ConfigReader.read(file, Map.of()))
        .withMessageContaining(":2: sample_loras: found a list, allowed is paths of LoRA files");
  }
}
