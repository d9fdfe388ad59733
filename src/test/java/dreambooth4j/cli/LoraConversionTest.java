package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.SafetensorsWriter;
import dreambooth4j.weights.TensorInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code convert} of LoRA files between the namings. */
class LoraConversionTest {
  private static final Path GOLDENS = Path.of("src/test/resources/goldens");
  private static final Path TINY_SDXL = GOLDENS.resolve("sdxl/model");
  private static final String ALPHA = ".alpha";

  @TempDir private Path folder;

  private Ran convert(Path in, String out, String... more) {
    return Ran.of(
        Stream.concat(
                Stream.of("convert", in.toString(), folder.resolve(out).toString()),
                Stream.of(more))
            .toList());
  }

  private Path converted(Path in, String out, String... more) {
    Ran ran = convert(in, out, more);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    return folder.resolve(out);
  }

  private static Map<String, List<Float>> content(Path file) {
    Map<String, List<Float>> content = new TreeMap<>();
    try (Arena run = Arena.open("content");
        Safetensors source = Safetensors.open(file)) {
      for (TensorInfo info : source.tensors().values()) {
        Tensor wide = run.allocate(info.name(), DType.F32, info.sizes());
        source.readInto(wide, info.name());
        float[] values = wide.toFloats();
        Float[] boxed = new Float[values.length];
        Arrays.setAll(boxed, i -> values[i]);
        content.put(info.name() + info.shape(), List.of(boxed));
      }
    }
    return content;
  }

  private static Map<String, String> notes(Path file) {
    try (Safetensors source = Safetensors.open(file)) {
      return Map.copyOf(source.metadata());
    }
  }

  /** Recorded files of both namings hold the same adapters; there is no other oracle needed. */
  @Test
  void shouldWriteWhatPeftAndKohyasNamingHaveOfTheSameLora() {
    Path kohya = GOLDENS.resolve("lora/sdxl-all.kohya.safetensors");
    Path diffusers = GOLDENS.resolve("lora/sdxl-all.diffusers.safetensors");
    String config = TINY_SDXL.toString();

    Path toKohya = converted(diffusers, "k.safetensors", "--model_config", config);
    Path toDiffusers =
        converted(kohya, "d.safetensors", "--model_config", config, "--naming", "diffusers");
    Path back = converted(toDiffusers, "b.safetensors", "--model_config", config);

    assertThat(content(toKohya)).isEqualTo(content(kohya));
    assertThat(content(back)).isEqualTo(content(kohya));
    assertThat(content(toDiffusers).keySet())
        .hasSize(content(diffusers).size())
        .allMatch(name -> name.contains(".lora_A.weight[") || name.contains(".lora_B.weight["));
    assertThat(notes(toDiffusers))
        .containsEntry("ss_base_model_version", "sdxl_base_v1-0")
        .containsKey("lora_adapter_metadata");
    assertThat(notes(back))
        .doesNotContainKey("lora_adapter_metadata")
        .containsKey("sshs_model_hash");
  }

  private Path write(String name, DType type, Map<String, long[]> shapes, String... notes)
      throws IOException {
    Path file = folder.resolve(name);
    try (Arena run = Arena.open("write")) {
      SafetensorsWriter writer = new SafetensorsWriter();
      int number = 0;
      for (Map.Entry<String, long[]> each : shapes.entrySet()) {
        int count = (int) Arrays.stream(each.getValue()).reduce(1, (a, b) -> a * b);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
          values[i] = (++number % 31) / 16f;
        }
        DType own = each.getKey().endsWith(ALPHA) ? DType.F32 : type;
        var tensor = run.allocate(each.getKey(), own, each.getValue());
        tensor.copyFrom(run.floats("values", values, each.getValue()));
        writer.add(each.getKey(), tensor);
      }
      for (int i = 0; i < notes.length; i += 2) {
        writer.metadata(notes[i], notes[i + 1]);
      }
      writer.write(run, file);
    }
    return file;
  }

  /** One layer of a LoRA, of rank 2 with alpha. */
  private static void layer(Map<String, long[]> shapes, String name, long out, long... in) {
    long[] down = new long[in.length + 1];
    long[] up = new long[in.length + 1];
    Arrays.fill(up, 1);
    System.arraycopy(in, 0, down, 1, in.length);
    down[0] = 2;
    up[0] = out;
    up[1] = 2;
    shapes.put(name + ".lora_down.weight", down);
    shapes.put(name + ".lora_up.weight", up);
    shapes.put(name + ALPHA, new long[0]);
  }

  /** The published sizes are known; no model need be there. */
  @ParameterizedTest
  @CsvSource({
    "Stable Diffusion 1, 320, 768, lora_unet_down_blocks_0_attentions_0_, lora_te_, down_blocks.0.,"
        + " sd_v1",
    "Stable Diffusion 2, 320, 1024, lora_unet_down_blocks_0_attentions_0_, lora_te_,"
        + " down_blocks.0., sd_v2_768_v",
    "SDXL, 640, 2048, lora_unet_input_blocks_4_1_, lora_te2_, down_blocks.1., sdxl_base_v1-0"
  })
  void shouldKnowThePublishedModels(
      String model, int width, int told, String unet, String text, String diffusers, String kind)
      throws IOException {
    int read = told == 2048 ? 1280 : told;
    Map<String, long[]> shapes = new LinkedHashMap<>();
    layer(shapes, unet + "transformer_blocks_0_attn2_to_k", width, told);
    if (told == 768) {
      layer(shapes, unet + "proj_in", width, width, 1, 1);
    } else {
      layer(shapes, unet + "proj_in", width, width);
    }
    layer(shapes, text + "text_model_encoder_layers_3_self_attn_q_proj", read, read);
    Path lora = write("lora.safetensors", DType.F16, shapes, "ss_tag", "kept", "format", "pt");

    Ran ran = convert(lora, "d.safetensors", "--naming=diffusers", "--dtype=bf16");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.out())
        .contains("a LoRA of 3 layers of " + model + ", in the naming of diffusers\n");
    Path written = folder.resolve("d.safetensors");
    String encoder = text.equals("lora_te2_") ? "text_encoder_2" : "text_encoder";
    try (Safetensors file = Safetensors.open(written)) {
      assertThat(file.tensors())
          .containsKeys(
              "unet." + diffusers + "attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight",
              "unet." + diffusers + "attentions.0.proj_in.lora_B.weight",
              encoder + ".text_model.encoder.layers.3.self_attn.q_proj.lora_A.weight");
      assertThat(file.tensors().values()).allMatch(info -> info.dtype() == DType.BF16);
    }
    assertThat(notes(written))
        .containsEntry("ss_tag", "kept")
        .containsEntry("ss_base_model_version", kind)
        .containsEntry("modelspec.title", "d");
    Path back = converted(written, "back.safetensors", "--dtype=fp16");
    assertThat(content(back)).isEqualTo(content(lora));
  }

  /** Norms, a kernel, the type of the file and what it says of itself stay as they are. */
  @Test
  void shouldConvertDoraThereAndBack() throws IOException {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    String conv = "lora_unet_mid_block_resnets_0_conv1";
    String query = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
    shapes.put(conv + ".lora_down.weight", new long[] {2, 1280, 3, 3});
    shapes.put(conv + ".lora_up.weight", new long[] {1280, 2, 1, 1});
    shapes.put(conv + ".dora_scale", new long[] {1280, 1, 1, 1});
    shapes.put(conv + ALPHA, new long[0]);
    layer(shapes, query, 1280, 1280);
    shapes.put(query + ".dora_scale", new long[] {1280, 1});
    Path lora =
        write("lora.safetensors", DType.BF16, shapes, "ss_base_model_version", "sd_v1", "a", "b");

    Path diffusers = converted(lora, "d.safetensors", "--naming", "diffusers");

    String prefix = "unet.mid_block.";
    try (Safetensors file = Safetensors.open(diffusers)) {
      String norms = ".lora_magnitude_vector";
      Map<String, TensorInfo> all = file.tensors();
      assertThat(Objects.requireNonNull(all.get(prefix + "resnets.0.conv1" + norms)).shape())
          .isEqualTo(List.of(1L, 1280L, 1L, 1L));
      assertThat(all.values()).allMatch(info -> info.dtype() == DType.BF16);
    }
    assertThat(notes(diffusers))
        .containsEntry("a", "b")
        .containsEntry("ss_base_model_version", "sd_v1");
    assertThat(content(converted(diffusers, "back.safetensors"))).isEqualTo(content(lora));
  }

  /** As {@code get_peft_model(unet)} saves it, and as the oldest scripts did. */
  @ParameterizedTest
  @CsvSource({
    "base_model.model.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_, A, B",
    "mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora., down, up"
  })
  void shouldReadOtherNamings(String name, String first, String second) throws IOException {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    shapes.put(name + first + ".weight", new long[] {4, 1280});
    shapes.put(name + second + ".weight", new long[] {1280, 4});
    Path lora = write("lora.safetensors", DType.F32, shapes);

    Path kohya = converted(lora, "k.safetensors");

    String layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
    assertThat(content(kohya))
        .containsKeys(layer + ".lora_down.weight[4, 1280]", layer + ".lora_up.weight[1280, 4]")
        .containsEntry(layer + ".alpha[]", List.of(4f));
  }

  private void refused(int code, Ran ran, String... parts) {
    assertThat(ran.exitCode()).as(ran.err()).isEqualTo(code);
    assertThat(ran.err()).contains(parts);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files.map(file -> String.valueOf(file.getFileName())))
          .noneMatch(name -> name.startsWith("out") || name.startsWith("."));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void shouldSayWhyALoraCannotBeConverted() throws IOException {
    Path tiny = GOLDENS.resolve("lora/sdxl-all.kohya.safetensors");
    refused(
        3,
        convert(tiny, "out.safetensors"),
        "it is a LoRA of none of the published models, Stable Diffusion 1, Stable Diffusion 2, SDXL",
        "Give the model that it is for, as a diffusers folder, by --model_config",
        "As one of SDXL it is refused so: ");
    Map<String, long[]> loha = new LinkedHashMap<>();
    for (String each : List.of("hada_w1_a", "hada_w2_a")) {
      loha.put("lora_unet_mid_block_resnets_0_conv1." + each, new long[] {1280, 2});
    }
    for (String each : List.of("hada_w1_b", "hada_w2_b")) {
      loha.put("lora_unet_mid_block_resnets_0_conv1." + each, new long[] {2, 1280 * 9});
    }
    Path other = write("loha.safetensors", DType.F32, loha);
    refused(
        2,
        convert(other, "out.safetensors", "--naming=diffusers"),
        "diffusers loads no LoHa",
        "write it in kohya's naming alone, or into a model with merge");
    Path again = converted(other, "again.safetensors");
    assertThat(content(again)).containsAllEntriesOf(content(other));
    refused(2, convert(other, "out"), "is a LoRA: OUT", "does not end in .safetensors");
    refused(
        2, convert(other, "out.safetensors", "--to=safetensors"), "--to is for models", "--naming");
    refused(2, convert(other, "again.safetensors"), "is there already, and is not written over");
    refused(
        2,
        convert(GOLDENS.resolve("sd1/model"), "out.safetensors", "--naming=kohya"),
        "--naming is for LoRA files");
    refused(
        2, convert(TINY_SDXL, "out", "--prediction_type=x"), "epsilon or v_prediction, found x");
  }
}
