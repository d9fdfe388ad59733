package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.train.TinyModel;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.JsonFile;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Models whose configurations say what their weights, their other parts or no model at all can
 * have. Each ends in a sentence that names the file and the key, before anything is built.
 */
@Timeout(60)
class HostileModelTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  @BeforeEach
  void copy() throws IOException {
    TinyModel.copy(folder);
  }

  private void set(String file, String key, JsonNode value) throws IOException {
    Path path = folder.resolve(file);
    ObjectNode config = JsonFile.read(path);
    config.set(key, value);
    Files.writeString(path, config.toString());
  }

  private static void load(ModelSource source, Arena arena) {
    StableDiffusion.load(arena, source).close();
  }

  private Problem refused() {
    Problem problem;
    try (Arena arena = Arena.open("model")) {
      ModelSource source = ModelSource.find(folder.toString(), ModelOptions.NONE);
      problem = catchThrowableOfType(Problem.class, () -> load(source, arena));
      assertThat(arena.meter().peakBytes()).as("bytes taken before it was refused").isZero();
    }
    assertThat(problem).isNotNull();
    assertThat(problem.kind()).isEqualTo(Problem.Kind.DATA);
    assertThat(problem.getMessage()).hasSizeLessThan(1000);
    return problem;
  }

  @ParameterizedTest(name = "{0}: {1} {2}")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          unet         | in_channels                  | 5
          unet         | in_channels                  | 16777216
          unet         | out_channels                 | 8
          unet         | block_out_channels           | [8, 8, 16, 16777216]
          unet         | block_out_channels           | [8, 8, 16, 32]
          unet         | block_out_channels           | []
          unet         | block_out_channels           | 8
          unet         | layers_per_block             | 16777216
          unet         | layers_per_block             | 2
          unet         | layers_per_block             | [1, 1, 1]
          unet         | transformer_layers_per_block | 16777216
          unet         | transformer_layers_per_block | 20000
          unet         | transformer_layers_per_block | 2
          unet         | attention_head_dim           | 16777216
          unet         | attention_head_dim           | 3
          unet         | attention_head_dim           | 0
          unet         | norm_num_groups              | 7
          unet         | cross_attention_dim          | 16777216
          unet         | cross_attention_dim          | 32
          unet         | cross_attention_dim          | 2147483648
          unet         | cross_attention_dim          | [24, 24, 24, 24]
          unet         | norm_eps                     | 1e300
          unet         | norm_eps                     | -1
          unet         | norm_eps                     | 1e-300
          unet         | freq_shift                   | 1e300
          unet         | sample_size                  | 16777216
          unet         | down_block_types             | ["DownBlock2D","DownBlock2D","DownBlock2D","DownBlock2D"]
          unet         | up_block_types               | ["UpBlock2D","UpBlock2D","UpBlock2D","CrossAttnUpBlock2D"]
          vae          | latent_channels              | 8
          vae          | in_channels                  | 4
          vae          | out_channels                 | 16777216
          vae          | block_out_channels           | [8, 16, 16777216]
          vae          | layers_per_block             | 16777216
          vae          | layers_per_block             | 3
          vae          | norm_num_groups              | 7
          vae          | scaling_factor               | 0
          vae          | scaling_factor               | 1e308
          vae          | mid_block_add_attention      | false
          text_encoder | vocab_size                   | 16777216
          text_encoder | vocab_size                   | 2000
          text_encoder | hidden_size                  | 16777216
          text_encoder | hidden_size                  | 48
          text_encoder | intermediate_size            | 49
          text_encoder | max_position_embeddings      | 16777216
          text_encoder | max_position_embeddings      | 78
          text_encoder | num_hidden_layers            | 16777216
          text_encoder | num_hidden_layers            | 2
          text_encoder | num_attention_heads          | 5
          text_encoder | layer_norm_eps               | 1e300
          """)
  void shouldNameTheKeyThatDoesNotFit(String component, String key, String value)
      throws IOException {
    set(component + "/config.json", key, JSON.readTree(value));
    assertThat(refused()).hasMessageContaining(component + "/config.json: " + key);
  }

  @ParameterizedTest
  @ValueSource(ints = {33, 40, 20_000})
  void shouldRefuseLevelsWithoutEnd(int levels) throws IOException {
    String config = "vae/config.json";
    set(config, "block_out_channels", JSON.valueToTree(Collections.nCopies(levels, 8)));
    set(
        config,
        "down_block_types",
        JSON.valueToTree(Collections.nCopies(levels, "DownEncoderBlock2D")));
    set(
        config,
        "up_block_types",
        JSON.valueToTree(Collections.nCopies(levels, "UpDecoderBlock2D")));
    assertThat(refused())
        .hasMessageContaining(
            "vae/config.json: block_out_channels must be a list of 1 to 8 entries");
  }

  /** Without weights, as a plan of memory reads a model. */
  @ParameterizedTest(name = "{0}: {1} {2}")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          unet         | transformer_layers_per_block | 16777216
          unet         | layers_per_block             | 20000
          vae          | layers_per_block             | 16777216
          text_encoder | num_hidden_layers            | 16777216
          text_encoder | max_position_embeddings      | 16777216
          """)
  void shouldBoundWhatAPlanIsMadeOf(String component, String key, String value) throws IOException {
    set(component + "/config.json", key, JSON.readTree(value));
    for (Path file :
        new Path[] {
          folder.resolve("unet/diffusion_pytorch_model.safetensors"),
          folder.resolve("vae/diffusion_pytorch_model.safetensors"),
          folder.resolve("text_encoder/model.safetensors")
        }) {
      Files.delete(file);
    }
    try (Arena arena = Arena.open("plan", OpBackend.dry(Device.CPU))) {
      ModelSource source = ModelSource.find(folder.toString(), ModelOptions.NONE);
      assertThat(catchThrowableOfType(Problem.class, () -> load(source, arena)))
          .hasMessageContaining(component + "/config.json: " + key);
    }
  }

  @Test
  void shouldNameBothPartsThatDoNotFitEachOther() throws IOException {
    // The UNet of another family: its configuration fits its weights.
    Path other = Path.of("weights/sprites64/unet");
    for (String name : new String[] {"config.json", "diffusion_pytorch_model.safetensors"}) {
      Path target = folder.resolve("unet").resolve(name);
      Files.delete(target);
      Files.copy(other.resolve(name), target);
    }
    assertThat(refused())
        .hasMessageContaining("unet/config.json: cross_attention_dim is")
        .hasMessageContaining("text_encoder/config.json says that hidden_size is 24");
  }

  @ParameterizedTest
  @ValueSource(strings = {"78", "999999"})
  void shouldRefuseMoreTokensThanTheTextEncoderReads(String length) throws IOException {
    set("tokenizer/tokenizer_config.json", "model_max_length", JSON.readTree(length));
    assertThat(refused())
        .hasMessageContaining("tokenizer_config.json: model_max_length is " + length)
        .hasMessageContaining("max_position_embeddings is 77");
  }

  @Test
  void shouldRefuseTokensThatTheTextEncoderHasNoStatesFor() throws IOException {
    Path file = folder.resolve("tokenizer/tokenizer.json");
    ObjectNode root = JsonFile.read(file);
    ((ObjectNode) root.at("/model/vocab")).put("beyond", 2048);
    Files.writeString(file, root.toString());
    assertThat(refused())
        .hasMessageContaining("tokenizer.json: the token beyond has the number 2048")
        .hasMessageContaining("vocab_size is 2048");
  }

  @Test
  void shouldRefuseAPrefixThatTheTokenizersLibraryCannotCut() throws IOException {
    Path file = folder.resolve("tokenizer/tokenizer.json");
    ObjectNode root = JsonFile.read(file);
    ((ObjectNode) root.path("model")).put("continuing_subword_prefix", "x");
    Files.writeString(file, root.toString());
    assertThat(refused())
        .hasMessageContaining("tokenizer.json: model.continuing_subword_prefix")
        .hasMessageContaining("found \"x\"");
  }

  @ParameterizedTest
  @CsvSource({"1, 1000000", "50000, 5"})
  void shouldRefuseAddedTokensThatTakeTheLibraryMinutes(int count, int length) throws IOException {
    Path file = folder.resolve("tokenizer/tokenizer.json");
    ObjectNode root = JsonFile.read(file);
    ArrayNode tokens = root.putArray("added_tokens");
    for (int i = 0; i < count; i++) {
      tokens.addObject().put("id", i % 2000).put("content", "a".repeat(length) + i);
    }
    Files.writeString(file, root.toString());
    assertThat(refused()).hasMessageContaining("tokenizer.json: added_tokens");
  }

  @Test
  void shouldNotWaitForAPipeInPlaceOfAFolder() throws IOException, InterruptedException {
    for (String name : new String[] {"diffusion_pytorch_model.safetensors", "config.json"}) {
      Files.delete(folder.resolve("vae").resolve(name));
    }
    Files.delete(folder.resolve("vae"));
    int code = new ProcessBuilder("mkfifo", folder.resolve("vae").toString()).start().waitFor();
    assertThat(code).isZero();
    ModelSource source = ModelSource.find(folder.toString(), ModelOptions.NONE);
    Problem problem =
        catchThrowableOfType(Problem.class, () -> source.weights(Component.VAE).close());
    assertThat(problem).hasMessageContaining("vae: expected a folder with");
  }

  @Test
  void shouldNotPassOverATokenizersSettingsThatAreNoFile() throws IOException {
    Path file = folder.resolve("tokenizer/tokenizer_config.json");
    Files.delete(file);
    Files.createSymbolicLink(file, Path.of("gone"));
    assertThat(refused())
        .hasMessageContaining("tokenizer_config.json is a link to gone, which is not there");
  }

  @Test
  void shouldShowLittleOfWhatIsLong() throws IOException {
    set("unet/config.json", "x".repeat(1000), JSON.valueToTree("a".repeat(1_000_000)));
    assertThat(refused()).hasMessageContaining("xxx… = \"aaa");
  }

  @Test
  void shouldReadNoConfigurationThatIsLongerThanAny() throws IOException {
    set("unet/config.json", "x", JSON.valueToTree("a".repeat(3_000_000)));
    assertThat(refused()).hasMessageContaining("unet/config.json has more than 2,097,152 bytes");
  }

  @Test
  void shouldReadTheModelAsItIs() {
    try (Arena arena = Arena.open("model")) {
      assertThatCode(() -> load(ModelSource.find(folder.toString(), ModelOptions.NONE), arena))
          .doesNotThrowAnyException();
    }
  }
}
