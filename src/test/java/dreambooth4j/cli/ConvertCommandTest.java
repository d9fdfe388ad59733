package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConvertCommandTest {
  private static final Path GOLDENS = Path.of("src/test/resources/goldens");
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir private Path folder;

  private static Path model(String family) {
    return GOLDENS.resolve(family).resolve("model");
  }

  private Ran convert(Path in, String out, String... more) {
    List<String> args =
        Stream.concat(
                Stream.of("convert", in.toString(), folder.resolve(out).toString()),
                Stream.of(more))
            .toList();
    return Ran.of(args);
  }

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> folder.relativize(file).toString())
          .sorted()
          .toList();
    }
  }

  private static DType dtype(Path file, String tensor) {
    try (Safetensors source = Safetensors.open(file)) {
      return Objects.requireNonNull(source.tensors().get(tensor)).dtype();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "sd2"})
  void shouldGiveTheSameWeightsByWayOfASingleFile(String family) throws IOException {
    Ran there = convert(model(family), "one.safetensors");
    assertThat(there.exitCode()).as(there.err()).isZero();
    assertThat(there.out()).contains("one.safetensors: ").contains(" MB of weights");
    assertThat(there.err()).contains("convert 1/1");
    Path one = folder.resolve("one.safetensors");
    Ran back = convert(one, "back", "--model_config", model(family).toString());
    assertThat(back.exitCode()).as(back.err()).isZero();
    for (String file : files(model(family))) {
      if (file.endsWith(".safetensors")) {
        assertThat(folder.resolve("back").resolve(file))
            .as(file)
            .hasSameBinaryContentAs(model(family).resolve(file));
      }
    }
    assertThat(files(folder.resolve("back"))).isEqualTo(files(model(family)));

    Ran verified = Ran.of("verify", model(family).toString(), one.toString());
    assertThat(verified.out()).contains("ok ").endsWith("All within limits.\n");
    try (Safetensors file = Safetensors.open(one)) {
      assertThat(file.metadata())
          .containsEntry("modelspec.sai_model_spec", "1.0.0")
          .containsEntry("modelspec.title", "one")
          .containsEntry("modelspec.prediction_type", family.equals("sd1") ? "epsilon" : "v");
    }
  }

  @Test
  void shouldDrawTheSameFromAFileAsFromItsFolder() {
    Path one = folder.resolve("one.safetensors");
    assertThat(convert(model("sd1"), "one.safetensors").exitCode()).isZero();
    for (String each : List.of(model("sd1").toString(), one.toString())) {
      String png = folder.resolve(each.endsWith("model") ? "a.png" : "b.png").toString();
      List<String> args =
          Stream.concat(
                  Stream.of("generate", each, "a dog", "-o", png, "--seed", "1", "--steps", "2"),
                  each.endsWith("model")
                      ? Stream.of()
                      : Stream.of("--model_config", model("sd1").toString()))
              .toList();
      Ran ran = Ran.of(args);
      assertThat(ran.exitCode()).as(ran.err()).isZero();
    }
    assertThat(pixels("a.png")).isEqualTo(pixels("b.png"));
  }

  private List<Integer> pixels(String name) {
    try {
      var image = javax.imageio.ImageIO.read(folder.resolve(name).toFile());
      int[] rgb =
          image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
      return java.util.Arrays.stream(rgb).boxed().toList();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @ParameterizedTest
  @CsvSource({"fp16, F16", "bf16, BF16", "fp32, F32"})
  void shouldWriteThePrecisionThatIsAskedFor(String option, DType dtype) {
    assertThat(convert(model("sd1"), "one.safetensors", "--dtype", option).exitCode()).isZero();
    assertThat(convert(model("sd1"), "folder", "--dtype", option).exitCode()).isZero();
    Path one = folder.resolve("one.safetensors");
    assertThat(dtype(one, "model.diffusion_model.out.2.weight")).isEqualTo(dtype);
    assertThat(dtype(one, "first_stage_model.quant_conv.weight")).isEqualTo(dtype);
    assertThat(dtype(folder.resolve("folder").resolve(UNET), "conv_out.weight")).isEqualTo(dtype);
  }

  @Test
  void shouldRefuseNumbersThatAPrecisionCannotHold() throws IOException {
    Path copy = folder.resolve("copy");
    for (String file : files(model("sd1"))) {
      Files.createDirectories(copy.resolve(file).resolveSibling("."));
      Files.copy(model("sd1").resolve(file), copy.resolve(file));
    }
    try (Arena run = Arena.open("run");
        Safetensors source = Safetensors.open(model("sd1").resolve(UNET))) {
      SafetensorsWriter writer = new SafetensorsWriter();
      for (String name : source.tensors().keySet()) {
        if (name.equals("conv_out.bias")) {
          Tensor large = source.read(run, name);
          float[] values = large.toFloats();
          values[0] = 1e6f;
          large.copyFrom(values);
          writer.add(name, large);
        } else {
          writer.add(name, source, name, null);
        }
      }
      writer.write(run, copy.resolve(UNET));
    }
    for (String out : List.of("one.safetensors", "other")) {
      Ran ran = convert(copy, out, "--dtype", "fp16");
      assertThat(ran.exitCode()).isEqualTo(3);
      assertThat(ran.err()).contains("that fp16 cannot hold: write it in bf16 or fp32");
      assertThat(folder.resolve(out)).doesNotExist();
      assertThat(convert(copy, out, "--dtype", "bf16").exitCode()).isZero();
    }
  }

  @Test
  void shouldWriteOverNothing() throws IOException {
    Path there = Files.writeString(folder.resolve("one.safetensors"), "mine");
    Ran file = convert(model("sd1"), "one.safetensors");
    assertThat(file.exitCode()).isEqualTo(2);
    assertThat(file.err()).contains("is there already, and is not written over");
    assertThat(there).hasContent("mine");
    Files.createDirectories(folder.resolve("mine"));
    Files.writeString(folder.resolve("mine/notes.txt"), "mine");
    assertThat(convert(model("sd1"), "mine").exitCode()).isEqualTo(2);
    assertThat(files(folder.resolve("mine"))).containsExactly("notes.txt");
    Ran ending = convert(model("sd1"), "one.ckpt", "--to", "safetensors");
    assertThat(ending.exitCode()).isEqualTo(2);
    assertThat(ending.err()).contains("does not end in .safetensors");
  }

  @Test
  void shouldSayThatAFileIsOnlyAPart() throws IOException {
    Path part = folder.resolve("part.safetensors");
    try (Arena run = Arena.open("run")) {
      new SafetensorsWriter()
          .add("cond_stage_model.transformer.text_model.final_layer_norm.bias", norm(run))
          .write(run, part);
    }
    Ran ran = convert(part, "folder");
    assertThat(ran.exitCode()).isEqualTo(3);
    assertThat(ran.err()).contains("expected a whole model, found no tensor of its unet");
    assertThat(folder.resolve("folder")).doesNotExist();
    Files.write(part, "not a model".getBytes(StandardCharsets.UTF_8));
    assertThat(convert(part, "folder").exitCode()).isEqualTo(3);
  }

  @Test
  void shouldNotConvertWhatIsLargerThanItsModel() {
    Path one = folder.resolve("one.safetensors");
    Path large = folder.resolve("large.safetensors");
    String name = "first_stage_model.quant_conv.bias";
    assertThat(convert(model("sd1"), "one.safetensors").exitCode()).isZero();
    try (Arena run = Arena.open("run");
        Safetensors source = Safetensors.open(one)) {
      SafetensorsWriter writer = new SafetensorsWriter();
      for (String each : source.tensors().keySet()) {
        if (each.equals(name)) {
          writer.add(each, run.zeros(each, DType.F32, 1 << 20));
        } else {
          writer.add(each, source, each, null);
        }
      }
      writer.write(run, large);
    }
    Ran ran = convert(large, "folder", "--model_config", model("sd1").toString());
    assertThat(ran.exitCode()).isEqualTo(3);
    assertThat(ran.err()).contains("quant_conv.bias: expected numbers", "[1048576]");
    assertThat(folder.resolve("folder")).doesNotExist();
  }

  private static Tensor norm(Arena run) {
    return run.zeros("norm", DType.F16, 768);
  }
}
