package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoraWriterTest {
  private static final String QUERY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
  private static final String CONVOLUTION = "mid_block.resnets.0.conv1";
  private static final String PROJECTION = "mid_block.attentions.0.proj_in";
  private static final String TEXT = "encoder.layers.0.self_attn.q_proj";

  @TempDir private Path folder;

  /** Adapters around one layer of each kind, of ranks 2 and 3, all of their numbers different. */
  private static List<Group> adapters(Arena arena, Export export, boolean dora) {
    Parameters unet = new Parameters(DType.F32);
    Parameters text = new Parameters(DType.F32);
    declare(unet, QUERY, 2, new long[] {16, 16}, dora);
    declare(unet, CONVOLUTION, 3, new long[] {16, 16, 3, 3}, dora);
    declare(unet, PROJECTION, 2, new long[] {16, 16, 1, 1}, dora);
    declare(text, TEXT, 2, new long[] {24, 24}, dora);
    for (Parameters each : List.of(unet, text)) {
      each.allocate(arena, true);
      float number = 0;
      for (Parameter parameter : each.all()) {
        float[] values = new float[(int) parameter.count()];
        for (int i = 0; i < values.length; i++) {
          values[i] = (++number % 97) / 64;
        }
        parameter.read(arena.floats("values", values, parameter.fileShape()));
      }
    }
    return List.of(
        new Group(Component.UNET, unet, 1, export),
        new Group(Component.TEXT_ENCODER, text, 1, export));
  }

  private static void declare(
      Parameters parameters, String layer, int rank, long[] weight, boolean dora) {
    long[] down = weight.clone();
    down[0] = rank;
    parameters.declare(layer + ".lora_A.weight", down);
    parameters.declare(layer + ".lora_B.weight", weight[0], rank);
    if (dora) {
      parameters.declare(layer + ".lora_magnitude_vector", weight[0]);
    }
  }

  private static double alpha(long rank) {
    return rank == 3 ? 0.75 : 1.5;
  }

  private Path write(boolean dora, DType type, LoraCard card, LoraNaming... namings) {
    try (Arena run = Arena.open("run")) {
      LoraWriter writer =
          new LoraWriter(
              Golden.model(),
              new LoraWriter.Form("subject", Set.of(namings), type),
              LoraWriterTest::alpha,
              () -> card);
      Map<String, String> notes = Map.of("ss_clip_skip", "1");
      List<Group> groups = adapters(run, writer, dora);
      SavedModel.replace(folder, files -> writer.hand(files, run, groups, notes, folder));
    }
    return folder.resolve("subject.safetensors");
  }

  private static void assertLayersAreAsTrained(Path file, boolean dora) {
    try (Arena run = Arena.open("run");
        LoraFile read = LoraFile.open(file, ModelLayers.of(Golden.model()))) {
      List<Group> trained = adapters(run, (f, a, g, n, o) -> {}, dora);
      assertThat(read.layers()).hasSize(4);
      for (LoraLayer layer : read.layers()) {
        Parameters parameters =
            trained.get(layer.component() == Component.UNET ? 0 : 1).parameters();
        int rank = layer.name().equals(CONVOLUTION) ? 3 : 2;
        assertThat(layer.scale()).isEqualTo(alpha(rank) / rank);
        for (LoraFactor factor : List.of(LoraFactor.DOWN, LoraFactor.UP, LoraFactor.MAGNITUDE)) {
          assertThat(layer.has(factor)).isEqualTo(dora || factor != LoraFactor.MAGNITUDE);
          if (layer.has(factor)) {
            Parameter expected =
                Objects.requireNonNull(
                    parameters.byName().get(layer.name() + "." + factor.label()));
            float[] values = expected.weight().toFloats();
            expected.weight().zero_();
            layer.readInto(expected, factor);
            assertThat(expected.weight().toFloats()).isEqualTo(values);
          }
        }
      }
    }
  }

  @Test
  void shouldWriteKohyasNamesWithAlphas() {
    Path file = write(false, DType.F32, LoraCard.titled("Subject", Map.of()), LoraNaming.KOHYA);

    try (Safetensors read = Safetensors.open(file)) {
      assertThat(read.tensors())
          .hasSize(12)
          .containsKeys(
              "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
              "lora_unet_mid_block_resnets_0_conv1.alpha",
              "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight");
      assertThat(shape(read, "lora_unet_mid_block_resnets_0_conv1.lora_down.weight"))
          .containsExactly(3L, 16L, 3L, 3L);
      assertThat(shape(read, "lora_unet_mid_block_resnets_0_conv1.lora_up.weight"))
          .containsExactly(16L, 3L, 1L, 1L);
      assertThat(shape(read, "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"))
          .containsExactly(2L, 16L, 1L, 1L);
      assertThat(shape(read, "lora_unet_mid_block_resnets_0_conv1.alpha")).isEmpty();
    }
    assertLayersAreAsTrained(file, false);
  }

  private static List<Long> shape(Safetensors file, String name) {
    TensorInfo info = file.tensors().get(name);
    return info == null ? List.of(-1L) : info.shape();
  }

  @Test
  void shouldWriteForDiffusersBesideIt() {
    write(
        false,
        DType.F32,
        LoraCard.titled("Subject", Map.of()),
        LoraNaming.KOHYA,
        LoraNaming.DIFFUSERS);

    Path file = folder.resolve("pytorch_lora_weights.safetensors");
    try (Safetensors read = Safetensors.open(file)) {
      assertThat(read.tensors())
          .hasSize(8)
          .containsKeys(
              "unet." + QUERY + ".lora_A.weight",
              "text_encoder.text_model." + TEXT + ".lora_B.weight");
      assertThat(read.metadata().get("lora_adapter_metadata"))
          .contains(
              "\"unet.r\":2",
              "\"unet.lora_alpha\":1.5",
              "\"unet.rank_pattern\":{\"mid_block\\\\.resnets\\\\.0\\\\.conv1\":3}",
              "\"unet.alpha_pattern\":{\"mid_block\\\\.resnets\\\\.0\\\\.conv1\":0.75}",
              "\"text_encoder.lora_alpha\":1.5");
    }
    assertLayersAreAsTrained(file, false);
    assertLayersAreAsTrained(folder.resolve("subject.safetensors"), false);
  }

  @Test
  void shouldWriteDorasMagnitudesAsEachNamingHasThem() {
    Path file =
        write(
            true,
            DType.F32,
            LoraCard.titled("S", Map.of()),
            LoraNaming.KOHYA,
            LoraNaming.DIFFUSERS);

    Path other = folder.resolve("pytorch_lora_weights.safetensors");
    try (Safetensors kohya = Safetensors.open(file);
        Safetensors peft = Safetensors.open(other)) {
      assertThat(shape(kohya, "lora_unet_mid_block_resnets_0_conv1.dora_scale"))
          .containsExactly(16L, 1L, 1L, 1L);
      assertThat(shape(kohya, "lora_te_text_model_encoder_layers_0_self_attn_q_proj.dora_scale"))
          .containsExactly(24L, 1L);
      assertThat(shape(peft, "unet." + CONVOLUTION + ".lora_magnitude_vector"))
          .containsExactly(1L, 16L, 1L, 1L);
      assertThat(shape(peft, "unet." + QUERY + ".lora_magnitude_vector")).containsExactly(16L);
    }
    assertLayersAreAsTrained(file, true);
  }

  @Test
  void shouldSayWhatItIs() throws IOException {
    LoraCard card =
        new LoraCard(
            "Santa at 512",
            "sks man",
            512,
            768,
            Map.of("ss_tag_frequency", "{}"),
            new LoraCard.Picture(
                StagedFiles.Body.of(new byte[] {1, 2, 3}), "data:image/png;base64,AA=="));

    Path file = write(false, DType.F16, card, LoraNaming.KOHYA);

    byte[] content = Files.readAllBytes(file);
    long header = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).getLong();
    byte[] tensors = Arrays.copyOfRange(content, (int) header + 8, content.length);
    String hash = HexFormat.of().formatHex(Sha256.digest().digest(tensors));
    try (Safetensors read = Safetensors.open(file)) {
      assertThat(read.metadata())
          .containsEntry("modelspec.sai_model_spec", "1.0.1")
          .containsEntry("modelspec.architecture", "stable-diffusion-v1/lora")
          .containsEntry("modelspec.title", "Santa at 512")
          .containsEntry("modelspec.trigger_phrase", "sks man")
          .containsEntry("modelspec.resolution", "512x768")
          .containsEntry("modelspec.prediction_type", "epsilon")
          .containsEntry("modelspec.thumbnail", "data:image/png;base64,AA==")
          .containsEntry("modelspec.hash_sha256", "0x" + hash)
          .containsEntry("sshs_model_hash", hash)
          .containsEntry("ss_base_model_version", "sd_v1")
          .containsEntry("ss_network_module", "networks.lora")
          .containsEntry("ss_network_dim", "Dynamic")
          .containsEntry("ss_tag_frequency", "{}")
          .containsEntry("ss_clip_skip", "1");
    }
    JsonNode sidecar = new ObjectMapper().readTree(folder.resolve("subject.json").toFile());
    assertThat(sidecar.path("activation text").asText()).isEqualTo("sks man");
    assertThat(sidecar.path("sd version").asText()).isEqualTo("SD1");
    assertThat(folder.resolve("subject.png")).hasBinaryContent(new byte[] {1, 2, 3});
  }

  @Test
  void shouldLeaveTheFilesOfBeforeWhereOneCannotBeWritten() throws IOException {
    Path file = write(false, DType.F32, LoraCard.titled("S", Map.of()), LoraNaming.KOHYA);
    byte[] before = Files.readAllBytes(file);
    byte[] sidecar = Files.readAllBytes(folder.resolve("subject.json"));
    StagedFiles.Body broken =
        channel -> {
          throw new IOException("disk full");
        };
    LoraCard card = new LoraCard("Other", "x", 0, 0, Map.of(), new LoraCard.Picture(broken, ""));

    Assertions.assertThatThrownBy(() -> write(true, DType.F16, card, LoraNaming.KOHYA))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("subject.png: cannot be written: disk full");

    assertThat(file).hasBinaryContent(before);
    assertThat(folder.resolve("subject.json")).hasBinaryContent(sidecar);
    try (var left = Files.list(folder)) {
      assertThat(left).hasSize(3);
    }
  }

  @Test
  void shouldRefuseLohaForDiffusers() {
    try (Arena run = Arena.open("run")) {
      Parameters parameters = new Parameters(DType.F32);
      for (String each : List.of("1_a", "1_b", "2_a", "2_b")) {
        parameters.declare(
            QUERY + ".hada_w" + each, each.endsWith("a") ? 8 : 2, each.endsWith("a") ? 2 : 8);
      }
      parameters.allocate(run, true);
      LoraWriter writer =
          new LoraWriter(
              Golden.model(),
              new LoraWriter.Form("s", Set.of(LoraNaming.DIFFUSERS), DType.F32),
              rank -> 1,
              () -> LoraCard.titled("s", Map.of()));
      List<Group> groups = List.of(new Group(Component.UNET, parameters, 1, writer));

      NewFiles files = new FolderPlan();
      Assertions.assertThatThrownBy(() -> writer.hand(files, run, groups, Map.of(), folder))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("diffusers loads no LoHa");
    }
  }
}
