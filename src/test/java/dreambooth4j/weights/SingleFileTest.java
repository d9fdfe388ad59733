package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models in one file under the original names. */
class SingleFileTest {
  private static final Path GOLDENS = Path.of("src/test/resources/goldens");
  private static final String CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight";

  @TempDir private Path folder;

  private static Path model(String family) {
    return GOLDENS.resolve(family).resolve("model");
  }

  /** Options by which a tiny model is read, whose sizes are none of the published ones. */
  private static ModelOptions tiny(String family) {
    return new ModelOptions(null, model(family), null);
  }

  private static OriginalTensors originals(ModelSource model) {
    Family family = Family.of(model);
    OriginalTensors tensors = new OriginalTensors(model.path());
    for (Component each : family.pipeline().components()) {
      OriginalPart part = family.part(each, model.config(each), model.where(each));
      tensors.add(each, part, model.weights(each));
    }
    return tensors;
  }

  /** Writes a recorded model as a single file, and further tensors of one element. */
  private Path write(String family, String... beside) {
    return write(family, Map.of(), beside);
  }

  private Path write(String family, Map<String, String> notes, String... beside) {
    Path file = folder.resolve(family + ".safetensors");
    try (Arena run = Arena.open("run");
        OriginalTensors tensors = originals(ModelFolder.open(model(family), null))) {
      SafetensorsWriter writer = new SafetensorsWriter().add(tensors, DType.F16);
      notes.forEach(writer::metadata);
      for (String each : beside) {
        writer.add(each, run.zeros(each, DType.F32, 1));
      }
      writer.write(run, file);
    }
    return file;
  }

  private static void assertSameWeights(ModelSource found, ModelSource expected) {
    for (Component each : expected.pipeline().components()) {
      try (TensorSource weights = found.weights(each);
          TensorSource others = expected.weights(each)) {
        assertThat(WeightComparison.differing(each, weights, others))
            .isNotEmpty()
            .allSatisfy((name, count) -> assertThat(count).as(name).isZero());
      }
    }
  }

  /** What the goldens hold is more than float16 can: the same numbers in both. */
  private Path halved(String family) throws IOException {
    Path copy = folder.resolve("halved-" + family);
    for (Component each : Component.values()) {
      Path from = model(family).resolve(each.folder());
      if (Files.isDirectory(from)) {
        try (var files = Files.list(from)) {
          for (Path file : files.toList()) {
            Path to = copy.resolve(each.folder()).resolve(String.valueOf(file.getFileName()));
            Files.createDirectories(to.resolveSibling("."));
            if (String.valueOf(file).endsWith(".safetensors")) {
              try (Arena run = Arena.open("run");
                  Safetensors source = Safetensors.open(file)) {
                new SafetensorsWriter().add(source, DType.F16).write(run, to);
              }
            } else {
              Files.copy(file, to);
            }
          }
        }
      }
    }
    Files.copy(model(family).resolve("model_index.json"), copy.resolve("model_index.json"));
    return copy;
  }

  @ParameterizedTest
  @CsvSource({"sd1, Stable Diffusion 1, epsilon", "sd2, Stable Diffusion 2, v_prediction"})
  void shouldHoldTheWeightsOfItsFolder(String family, String title, String prediction)
      throws IOException {
    ModelSource single = ModelSource.find(write(family).toString(), tiny(family));
    ModelSource folder = ModelFolder.open(halved(family), null);
    assertSameWeights(single, folder);
    for (Component each : single.pipeline().components()) {
      assertThat(single.fingerprint(each)).as(each.folder()).isEqualTo(folder.fingerprint(each));
    }
    assertThat(single.fingerprint(Component.TOKENIZER))
        .isEqualTo(folder.fingerprint(Component.TOKENIZER));
    assertThat(single.fingerprint(Component.UNET))
        .isNotEqualTo(ModelFolder.open(model(family), null).fingerprint(Component.UNET));
    assertThat(single.files(Component.TOKENIZER).has("tokenizer.json")).isTrue();
    assertThat(single.notes()).hasSize(1);
    assertThat(single.notes().get(0)).contains(title, prediction, "as model_config says");
  }

  @Test
  void shouldPassOverWhatPublishedFilesHoldBeside() throws IOException {
    Path file =
        write(
            "sd2",
            "cond_stage_model.model.logit_scale",
            "cond_stage_model.model.attn_mask",
            "cond_stage_model.model.text_projection",
            "cond_stage_model.model.transformer.resblocks.%d.ln_1.weight".formatted(layers("sd2")),
            "alphas_cumprod",
            "model_ema.decay",
            "model_ema.diffusion_modelout0weight");
    ModelSource single = ModelSource.find(file.toString(), tiny("sd2"));
    assertSameWeights(single, ModelFolder.open(halved("sd2"), null));
    assertThat(single.notes().get(1))
        .contains("passed over", "model_ema.* (2)", "alphas_cumprod", "logit_scale");
  }

  @Test
  void shouldPassOverInOneNoteWhatIsOfNoPart() {
    Path file =
        write(
            "sd1",
            "control_model.input_blocks.0.0.weight",
            "control_model.input_blocks.0.0.bias",
            "cond_stage_model.logit_scale",
            "embedding_manager");
    ModelSource single = ModelSource.find(file.toString(), tiny("sd1"));
    assertThat(single.notes()).hasSize(2);
    assertThat(single.notes().get(1))
        .contains("passed over", "control_model.* (2)", "cond_stage_model.*", "embedding_manager");
  }

  @Test
  void shouldReadTheNamesOfOlderTextEncoders() throws IOException {
    Path older = folder.resolve("older.safetensors");
    try (Arena run = Arena.open("run");
        Safetensors source = Safetensors.open(write("sd1"))) {
      SafetensorsWriter writer = new SafetensorsWriter();
      for (String name : source.tensors().keySet()) {
        writer.add(name.replace("transformer.text_model.", "transformer."), source, name, null);
      }
      writer.write(run, older);
    }
    assertSameWeights(
        ModelSource.find(older.toString(), tiny("sd1")), ModelFolder.open(halved("sd1"), null));
  }

  /** A recorded model whose scheduler says this too. */
  private Path scheduled(String family, String json) throws IOException {
    Path copy = halved(family);
    Path config = copy.resolve("scheduler/scheduler_config.json");
    ObjectNode all = JsonFile.read(config);
    all.setAll((ObjectNode) new ObjectMapper().readTree(json));
    Files.writeString(config, all.toString());
    return copy;
  }

  @ParameterizedTest
  @CsvSource({"sd2, false", "sdxl, true"})
  void shouldSayInASingleFileHowItsNoiseEnds(String family, boolean marksVelocity)
      throws IOException {
    Path base =
        scheduled(
            family, "{\"prediction_type\": \"v_prediction\", \"rescale_betas_zero_snr\": true}");
    Path file = folder.resolve("one.safetensors");
    try (Arena run = Arena.open("run")) {
      convert(ModelFolder.open(base, null), file);
    }
    try (Safetensors written = Safetensors.open(file)) {
      assertThat(written.info("ztsnr").shape()).containsExactly(0L);
      assertThat(written.tensors().containsKey("v_pred")).isEqualTo(marksVelocity);
    }
    JsonNode scheduler =
        ModelSource.find(file.toString(), tiny(family)).config(Component.SCHEDULER);
    assertThat(scheduler.path("prediction_type").asText()).isEqualTo("v_prediction");
    assertThat(scheduler.path("rescale_betas_zero_snr").asBoolean()).isTrue();
    assertThat(scheduler.path("timestep_spacing").asText()).isEqualTo("trailing");
  }

  @Test
  void shouldKeepTheNotesOfTheUNetInEveryDirection() throws IOException {
    Path base = halved("sd1");
    Path unet = base.resolve("unet/diffusion_pytorch_model.safetensors");
    Path noted = folder.resolve("unet.safetensors");
    Path one = folder.resolve("one.safetensors");
    Path other = folder.resolve("other");
    try (Arena run = Arena.open("run")) {
      try (Safetensors source = Safetensors.open(unet)) {
        new SafetensorsWriter().add(source, null).metadata("ss_clip_skip", "2").write(run, noted);
      }
      Files.move(noted, unet, StandardCopyOption.REPLACE_EXISTING);
      convert(ModelFolder.open(base, null), one);
      ModelSource single = ModelSource.find(one.toString(), tiny("sd1"));
      convert(single, other);
    }
    assertThat(ModelWriter.notesOf(ModelSource.find(one.toString(), tiny("sd1"))))
        .containsEntry("ss_clip_skip", "2");
    assertThat(ModelWriter.notesOf(ModelFolder.open(other, null)))
        .containsEntry("ss_clip_skip", "2");
  }

  private static void convert(ModelSource model, Path output) {
    new Conversion(model, output, Conversion.formatOf(output), null).run(bytes -> {});
  }

  private static int layers(String family) {
    ModelSource model = ModelFolder.open(model(family), null);
    return model.config(Component.TEXT_ENCODER).path("num_hidden_layers").asInt();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "cond_stage_model.model.transformer.resblocks.40.ln_1.weight",
        "model.diffusion_model.input_blocks.77.0.in_layers.0.weight",
        "first_stage_model.encoder.mid.attn_2.q.weight"
      })
  void shouldRefuseTensorsThatNoSuchModelHas(String name) {
    Path file = write("sd2", name);
    assertThatThrownBy(() -> ModelSource.find(file.toString(), tiny("sd2")))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("Stable Diffusion 2 has no such tensors: " + name);
  }

  @Test
  void shouldAskForTheConfigurationOfAModelOfOtherSizes() {
    Path file = write("sd1");
    assertThatThrownBy(() -> ModelSource.find(file.toString(), ModelOptions.NONE))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("sizes are not those of Stable Diffusion 1")
        .hasMessageContaining("model_config");
    assertThatThrownBy(() -> ModelSource.find(file.toString(), tiny("sd2")))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("is Stable Diffusion 2, but");
  }

  @ParameterizedTest
  @CsvSource({
    "sd2, '', '', v_prediction",
    "sd2, epsilon, '', epsilon",
    "sd2, '', epsilon, epsilon",
    "sd1, '', v, v_prediction",
    "sd1, '', '', epsilon",
    "sd1, v_prediction, epsilon, v_prediction"
  })
  void shouldPredictWhatSomebodySays(String family, String option, String said, String expected) {
    Map<String, String> notes =
        said.isEmpty() ? Map.of() : Map.of("modelspec.prediction_type", said);
    @Nullable String chosen = option.isEmpty() ? null : option;
    ModelSource single =
        ModelSource.find(
            write(family, notes).toString(), new ModelOptions(null, model(family), chosen));
    assertThat(single.config(Component.SCHEDULER).path("prediction_type").asText("epsilon"))
        .isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "9, an inpainting model",
    "5, Stable Diffusion 2 depth",
    "8, InstructPix2Pix",
    "7, an upscaler"
  })
  void shouldSayWhatElseAUNetIsGiven(long channels, String kind) {
    Path file = folder.resolve("other.safetensors");
    try (Arena run = Arena.open("run")) {
      new SafetensorsWriter()
          .add(CONVOLUTION, run.zeros("w", DType.F16, 320, channels, 3, 3))
          .add("cond_stage_model.model.ln_final.weight", run.zeros("n", DType.F16, 1024))
          .write(run, file);
    }
    assertThatThrownBy(() -> ModelSource.find(file.toString(), ModelOptions.NONE))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("its UNet takes %d channels".formatted(channels))
        .hasMessageContaining(kind);
  }

  @ParameterizedTest
  @CsvSource({
    "conditioner.embedders.0.model.ln_final.weight, refiner",
    "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight, this is a LoRA",
    "model.diffusion_model.out.2.bias, a UNet without one",
    "double_blocks.0.img_mod.lin.weight, tensors such as double_blocks.0.img_mod.lin.weight"
  })
  void shouldSayWhatElseAFileIs(String tensor, String expected) {
    Path file = folder.resolve("other.safetensors");
    try (Arena run = Arena.open("run")) {
      new SafetensorsWriter().add(tensor, run.zeros("w", DType.F16, 4)).write(run, file);
    }
    assertThatThrownBy(() -> ModelSource.find(file.toString(), ModelOptions.NONE))
        .isInstanceOf(Problem.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(expected);
  }

  @Test
  void shouldNameAPartThatIsNotThere() {
    Path file = folder.resolve("part.safetensors");
    try (Arena run = Arena.open("run")) {
      new SafetensorsWriter()
          .add("cond_stage_model.transformer.text_model.final_layer_norm.bias", ones(run, 768))
          .write(run, file);
    }
    ModelSource single = ModelSource.find(file.toString(), ModelOptions.NONE);
    assertThat(single.hasWeights(Component.UNET)).isFalse();
    assertThatThrownBy(() -> single.weights(Component.UNET))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("no tensor of its unet");
  }

  private static Tensor ones(Arena arena, long count) {
    return arena.zeros("ones", DType.F16, count);
  }

  @Test
  void shouldTellItsPartsApartByTheirNumbers() {
    Path file = write("sd1");
    ModelSource first = ModelSource.find(file.toString(), tiny("sd1"));
    List<Component> all = List.of(Component.UNET, Component.VAE, Component.TOKENIZER);
    List<String> before = all.stream().map(first::fingerprint).toList();
    assertThat(before).doesNotHaveDuplicates().allSatisfy(each -> assertThat(each).hasSize(64));
    try (Arena run = Arena.open("run");
        OriginalTensors tensors = originals(ModelFolder.open(model("sd1"), null))) {
      SafetensorsWriter writer = new SafetensorsWriter();
      for (String name : tensors.tensors().keySet()) {
        if (name.equals(CONVOLUTION)) {
          Tensor changed = tensors.read(run, name);
          changed.zero_();
          writer.add(name, changed);
        } else {
          writer.add(name, tensors, name, DType.F16);
        }
      }
      writer.write(run, file);
    }
    ModelSource second = ModelSource.find(file.toString(), tiny("sd1"));
    assertThat(second.fingerprint(Component.UNET)).isNotEqualTo(before.get(0));
    assertThat(second.fingerprint(Component.VAE)).isEqualTo(before.get(1));
    assertThat(second.fingerprint(Component.TOKENIZER)).isEqualTo(before.get(2));
  }

  @Test
  void shouldRefuseOneTensorUnderTwoNames() {
    String name = "cond_stage_model.transformer.final_layer_norm.bias";
    ModelSource single = ModelSource.find(write("sd1", name).toString(), tiny("sd1"));
    assertThatThrownBy(() -> single.weights(Component.TEXT_ENCODER))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("it is there twice")
        .hasMessageContaining(name);
  }

  @Test
  void shouldNameASamplerThatCanEndInNoise() {
    FamilyConfigs sd1 = FamilyConfigs.published(Family.SD1, Path.of("x"));
    sd1.endInNoise();
    assertThat(sd1.index().path("scheduler").path(1).asText()).isEqualTo("DDIMScheduler");
    assertThat(sd1.files(Component.SCHEDULER).json("scheduler_config.json").path("_class_name"))
        .hasToString("\"DDIMScheduler\"");
  }

  @Test
  void shouldHaveClipsVocabulary() {
    FamilyConfigs sd2 = FamilyConfigs.published(Family.SD2, Path.of("x"));
    ComponentFiles files = sd2.files(Component.TOKENIZER);
    assertThat(files.json("vocab.json")).hasSize(49408);
    try (Tokenizer tokenizer = Tokenizer.open(files)) {
      // As transformers' CLIPTokenizer of the published models gives them.
      assertThat(tokenizer.encode("a photo of sks dog"))
          .startsWith(49406, 320, 1125, 539, 48136, 1929, 49407, 0, 0)
          .hasSize(77);
      assertThat(tokenizer.padToken()).isZero();
    }
  }
}
