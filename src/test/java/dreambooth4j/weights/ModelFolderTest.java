package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.AbstractThrowableAssert;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelFolderTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir Path folder;
  private Path model = Golden.MODEL;

  @BeforeEach
  void copy() throws IOException {
    model = Golden.copy(folder.resolve("model"));
  }

  private String weights(@Nullable String variant) {
    try (TensorSource source = ModelFolder.open(model, variant).weights(Component.UNET)) {
      return String.valueOf(source.path().getFileName());
    }
  }

  private void move(String from, String to) throws IOException {
    Files.move(model.resolve(from), model.resolve(to));
  }

  @Test
  void shouldFindComponents() {
    ModelSource found = ModelSource.find(model.toString(), ModelOptions.NONE);
    assertThat(found.config(Component.UNET).path("in_channels").asInt()).isEqualTo(4);
    assertThat(found.config(Component.SCHEDULER).path("beta_start").asDouble()).isEqualTo(0.00085);
    assertThat(found.files(Component.TOKENIZER).has("tokenizer.json")).isTrue();
    assertThat(weights(null)).isEqualTo("diffusion_pytorch_model.safetensors");
  }

  @Test
  void shouldReadTheVariantWhereThereIsOne() throws IOException {
    move(UNET, "unet/diffusion_pytorch_model.fp16.safetensors");
    assertThat(weights("fp16")).isEqualTo("diffusion_pytorch_model.fp16.safetensors");
    ModelFolder mixed = ModelFolder.open(model, "fp16");
    try (TensorSource vae = mixed.weights(Component.VAE)) {
      assertThat(vae.path()).hasFileName("diffusion_pytorch_model.safetensors");
    }
    assertThatThrownBy(() -> weights(null))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected diffusion_pytorch_model.safetensors")
        .hasMessageContaining("found diffusion_pytorch_model.fp16.safetensors")
        .hasMessageContaining("set variant");
    assertThatThrownBy(() -> ModelFolder.open(model, "ema"))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected weights of variant ema, found none");
  }

  @Test
  void shouldReadShardsOfAVariant() throws IOException {
    String shard = "diffusion_pytorch_model.fp16-00001-of-00001.safetensors";
    move(UNET, "unet/" + shard);
    StringBuilder map = new StringBuilder("{\"weight_map\":{");
    try (Safetensors file = Safetensors.open(model.resolve("unet").resolve(shard))) {
      for (String name : file.tensors().keySet()) {
        map.append("\"%s\":\"%s\",".formatted(name, shard));
      }
    }
    map.setLength(map.length() - 1);
    String index = "diffusion_pytorch_model.safetensors.index.fp16.json";
    Files.writeString(model.resolve("unet").resolve(index), map.append("}}"));
    assertThat(weights("fp16")).isEqualTo(index);
  }

  @Test
  void shouldSayWhatToDoWithPickles() throws IOException {
    move(UNET, "unet/diffusion_pytorch_model.bin");
    assertThatThrownBy(() -> weights(null))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("found diffusion_pytorch_model.bin")
        .hasMessageContaining("Pickles are not read")
        .hasMessageContaining("weights/README.md");
    Files.delete(model.resolve("unet/diffusion_pytorch_model.bin"));
    assertThatThrownBy(() -> weights(null)).hasMessageContaining("found no weights");
  }

  @Test
  void shouldSayThatALinkToWeightsLeadsNowhere() throws IOException {
    Files.delete(model.resolve(UNET));
    Files.createSymbolicLink(model.resolve(UNET), Path.of("../../blobs/abc"));
    assertThatThrownBy(() -> weights(null))
        .isInstanceOf(Problem.class)
        .hasMessageContaining(UNET + " is a link to ../../blobs/abc, which is not there")
        .hasMessageContaining("get the model again")
        .hasMessageNotContaining("expected");
  }

  @Test
  void shouldOpenNothingButFiles() throws IOException, InterruptedException {
    Path config = model.resolve("unet/config.json");
    Files.delete(config);
    assertThat(new ProcessBuilder("mkfifo", config.toString()).start().waitFor()).isZero();
    ModelFolder opened = ModelFolder.open(model, null);
    assertThatThrownBy(() -> opened.config(Component.UNET))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("config.json is a pipe, a device or a socket");
    Files.delete(model.resolve("model_index.json"));
    Files.createDirectories(model.resolve("model_index.json"));
    assertThatThrownBy(() -> ModelFolder.open(model, null))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("model_index.json is a folder, where a file is needed");
  }

  @Test
  void shouldRefuseOtherPipelinesByName() throws IOException {
    Files.writeString(model.resolve("model_index.json"), "{\"_class_name\":\"KandinskyPipeline\"}");
    assertThatThrownBy(() -> ModelFolder.open(model, null))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("_class_name is KandinskyPipeline");
  }

  @Test
  void shouldRefusePartsAndOtherFolders() {
    assertThatThrownBy(() -> ModelSource.find(model.resolve(UNET).toString(), ModelOptions.NONE))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("one part of a model in the diffusers layout");
    assertThatThrownBy(() -> ModelSource.find(folder.toString(), ModelOptions.NONE))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected a diffusers folder with a model_index.json, found none");
  }

  @Test
  void shouldFindNamesInTheCache() throws IOException {
    Path repository = folder.resolve("hub/models--org--tiny.v1");
    Files.createDirectories(repository.resolve("refs"));
    Files.createDirectories(repository.resolve("snapshots"));
    Files.writeString(repository.resolve("refs/main"), "0a1b2c");
    Files.move(model, repository.resolve("snapshots/0a1b2c"));
    for (Map<String, String> environment :
        java.util.List.of(
            Map.of("HF_HOME", folder.toString()),
            Map.of("HF_HUB_CACHE", folder.resolve("hub").toString(), "HF_HOME", "/nowhere"))) {
      ModelSource found = ModelLookup.find("org/tiny.v1", ModelOptions.NONE, environment);
      assertThat(found.path()).isEqualTo(repository.resolve("snapshots/0a1b2c"));
    }
    Files.writeString(repository.resolve("refs/main"), "../../escape");
    assertThatThrownBy(
            () ->
                ModelLookup.find(
                    "org/tiny.v1", ModelOptions.NONE, Map.of("HF_HOME", folder.toString())))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected a revision");
  }

  @Test
  void shouldSayWhereToGetAModel() {
    Map<String, String> environment = Map.of("HF_HOME", folder.toString());
    assertThatThrownBy(() -> ModelLookup.find("org/none", ModelOptions.NONE, environment))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("models--org--none in the Hugging Face cache")
        .hasMessageContaining("hf download org/none")
        .hasMessageContaining("weights/README.md");
    assertThatThrownBy(() -> ModelLookup.find("../org/none/x", ModelOptions.NONE, environment))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected a model folder or file, found nothing");
  }

  private static AbstractThrowableAssert<?, ?> notFound(String name) {
    return assertThatThrownBy(() -> ModelLookup.find(name, ModelOptions.NONE, Map.of()))
        .isInstanceOf(Problem.class);
  }

  @Test
  void shouldSpeakOfTheFolderWhereAPathIsMistyped() throws IOException {
    Path models = Files.createDirectories(folder.resolve("output"));
    Files.createDirectories(models.resolve("trained"));
    Files.writeString(models.resolve("trained/model_index.json"), "{}");
    notFound(models.resolve("other").toString())
        .hasMessageContaining("found nothing of that name in " + models + "; there are trained")
        .hasMessageNotContaining("hf download");
    for (String mistyped : List.of("output/trianed", "ouput/trained", "outputs/trained_")) {
      notFound(folder.resolve(mistyped).toString())
          .hasMessageContaining("did you mean " + models.resolve("trained") + "?")
          .hasMessageNotContaining("hf download");
    }
  }

  /** Such a path looks like the name of a model of the Hugging Face hub. */
  @Test
  void shouldNotTakeAMistypedRelativePathForAModelToDownload() {
    notFound("wieghts/sprites64")
        .hasMessageContaining("did you mean weights/sprites64?")
        .hasMessageNotContaining("hf download");
    notFound("wieghts/stable-diffusion-v1-5").hasMessageContaining("hf download");
  }

  @Test
  void shouldSayWhatIsWrongWithAConfiguration() throws IOException {
    ModelFolder opened = ModelFolder.open(model, null);
    Path config = model.resolve("unet/config.json");
    Files.writeString(config, "{\n\"a\": 1,\n\"b\": }");
    assertThatThrownBy(() -> opened.config(Component.UNET))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("config.json: not valid JSON")
        .hasMessageContaining("line 3");
    Files.writeString(config, "[]");
    assertThatThrownBy(() -> opened.config(Component.UNET))
        .hasMessageContaining("expected a JSON object, found ARRAY");
    Files.delete(config);
    assertThatThrownBy(() -> opened.config(Component.UNET))
        .hasMessageContaining("config.json: expected a JSON file, found none");
  }

  @Test
  void shouldTellWeightsApartByTheFilesThatAreRead() throws IOException {
    ModelFolder there = ModelFolder.open(Golden.MODEL, null);
    ModelFolder copy = ModelFolder.open(model, null);
    for (Component each : new Component[] {Component.UNET, Component.VAE, Component.TOKENIZER}) {
      assertThat(copy.fingerprint(each)).matches("[0-9a-f]{64}").isEqualTo(there.fingerprint(each));
    }
    assertThat(copy.fingerprint(Component.VAE)).isNotEqualTo(copy.fingerprint(Component.UNET));

    String other = "unet/diffusion_pytorch_model.other.safetensors";
    Files.copy(model.resolve(UNET), model.resolve(other));
    byte[] bytes = Files.readAllBytes(model.resolve(other));
    bytes[bytes.length - 1] ^= 1;
    Files.write(model.resolve(other), bytes);
    ModelFolder variant = ModelFolder.open(model, "other");
    assertThat(ModelFolder.open(model, null).fingerprint(Component.UNET))
        .isEqualTo(there.fingerprint(Component.UNET))
        .isNotEqualTo(variant.fingerprint(Component.UNET));
    assertThat(variant.fingerprint(Component.VAE)).isEqualTo(there.fingerprint(Component.VAE));

    Files.delete(model.resolve(UNET));
    assertThatThrownBy(() -> ModelFolder.open(model, null).fingerprint(Component.UNET))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected diffusion_pytorch_model.safetensors");
  }
}
