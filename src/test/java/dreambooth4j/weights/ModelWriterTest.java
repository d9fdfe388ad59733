package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelWriterTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";
  private static final String TEXT = "text_encoder/model.safetensors";

  @TempDir Path folder;

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> folder.relativize(file).toString())
          .filter(file -> !file.equals(".model.json"))
          .sorted()
          .toList();
    }
  }

  private static void write(
      Arena run, ModelFolder base, Path output, Map<Component, Parameters> trained) {
    Export export = new ModelWriter(base);
    List<Group> groups = new ArrayList<>();
    trained.forEach((component, weights) -> groups.add(new Group(component, weights, 1, export)));
    Map<String, String> notes = Map.of("ss_clip_skip", "2");
    SavedModel.replace(output, files -> export.hand(files, run, groups, notes, output));
  }

  @Test
  void shouldWriteTheTrainedUNetAndCopyTheRest() throws IOException {
    Path output = folder.resolve("out");
    try (Arena run = Arena.open("run")) {
      Parameters unet = Golden.parameters(run, Component.UNET);
      Parameter norm = unet.all().get(0);
      norm.weight().zero_();
      write(run, Golden.model(), output, Map.of(Component.UNET, unet));
      assertThat(files(output)).isEqualTo(files(Golden.MODEL));
      for (String file : files(output)) {
        if (!file.equals(UNET)) {
          assertThat(output.resolve(file)).hasSameBinaryContentAs(Golden.MODEL.resolve(file));
        }
      }
      try (Safetensors before = Safetensors.open(Golden.MODEL.resolve(UNET));
          Safetensors after = Safetensors.open(output.resolve(UNET))) {
        assertThat(after.metadata())
            .containsEntry("format", "pt")
            .containsEntry("ss_clip_skip", "2");
        assertThat(after.tensors().keySet()).isEqualTo(before.tensors().keySet());
        for (TensorInfo info : after.tensors().values()) {
          assertThat(info.dtype()).isEqualTo(DType.F32);
          Tensor expected = before.read(run, info.name());
          if (info.name().equals(norm.name())) {
            expected.zero_();
          }
          assertThat(after.read(run, info.name()).toFloats()).isEqualTo(expected.toFloats());
        }
      }
    }
  }

  @Test
  void shouldWriteTheAverageWhereOneIsKept() {
    Path output = folder.resolve("out");
    try (Arena run = Arena.open("run")) {
      Parameters unet = Golden.parameters(run, Component.UNET);
      unet.keepAverage(run);
      unet.saved().zero_();
      write(run, Golden.model(), output, Map.of(Component.UNET, unet));
      try (Safetensors after = Safetensors.open(output.resolve(UNET))) {
        assertThat(after.read(run, "conv_in.weight").toFloats()).containsOnly(0);
      }
    }
  }

  @Test
  void shouldKeepTheNamesOfAnOlderTextEncoder() throws IOException {
    Path base = Golden.copy(folder.resolve("base"));
    Golden.rename(Golden.MODEL.resolve(TEXT), base.resolve(TEXT), name -> "text_model." + name);
    Path output = folder.resolve("out");
    try (Arena run = Arena.open("run")) {
      write(
          run,
          ModelFolder.open(base, null),
          output,
          Map.of(Component.TEXT_ENCODER, Golden.parameters(run, Component.TEXT_ENCODER)));
    }
    try (Safetensors before = Safetensors.open(base.resolve(TEXT));
        Safetensors after = Safetensors.open(output.resolve(TEXT))) {
      assertThat(after.tensors().keySet()).isEqualTo(before.tensors().keySet());
    }
    assertThat(output.resolve(UNET)).hasSameBinaryContentAs(base.resolve(UNET));
  }

  @Test
  void shouldGiveAVariantTheStandardNames() throws IOException {
    Path base = Golden.copy(folder.resolve("base"));
    for (String weights : List.of(UNET, TEXT, "vae/diffusion_pytorch_model.safetensors")) {
      Path plain = base.resolve(weights);
      Files.move(plain, Path.of(plain.toString().replace(".safetensors", ".fp16.safetensors")));
    }
    Path output = folder.resolve("out");
    try (Arena run = Arena.open("run")) {
      write(
          run,
          ModelFolder.open(base, "fp16"),
          output,
          Map.of(Component.UNET, Golden.parameters(run, Component.UNET)));
    }
    assertThat(files(output)).isEqualTo(files(Golden.MODEL));
  }

  @Test
  void shouldCopyTheContentOfASnapshotsLinks() throws IOException {
    Path blobs = Golden.copy(folder.resolve("blobs"));
    Path snapshot = folder.resolve("snapshot");
    for (String file : files(blobs)) {
      Path link = snapshot.resolve(file);
      Files.createDirectories(link.resolveSibling("."));
      Files.createSymbolicLink(link, blobs.resolve(file));
    }
    Path output = folder.resolve("out");
    try (Arena run = Arena.open("run")) {
      write(run, ModelFolder.open(snapshot, null), output, Map.of());
    }
    assertThat(files(output)).isEqualTo(files(Golden.MODEL));
    for (String file : files(output)) {
      assertThat(Files.isSymbolicLink(output.resolve(file))).isFalse();
    }
  }

  @Test
  void shouldCopyShardsAndNothingUnknown() throws IOException {
    Path base = Golden.copy(folder.resolve("base"));
    Path text = base.resolve("text_encoder");
    Files.move(base.resolve(TEXT), text.resolve("model-00001-of-00001.safetensors"));
    StringBuilder map = new StringBuilder();
    try (Safetensors file = Safetensors.open(text.resolve("model-00001-of-00001.safetensors"))) {
      for (String name : file.tensors().keySet()) {
        map.append(map.isEmpty() ? "" : ",");
        map.append("\"%s\":\"model-00001-of-00001.safetensors\"".formatted(name));
      }
    }
    Files.writeString(
        text.resolve("model.safetensors.index.json"), "{\"weight_map\":{%s}}".formatted(map));
    Files.writeString(base.resolve("notes.txt"), "private");
    Files.writeString(text.resolve("pytorch_model.bin"), "pickle");
    Path output = folder.resolve("out");
    try (Arena run = Arena.open("run")) {
      write(
          run,
          ModelFolder.open(base, null),
          output,
          Map.of(Component.UNET, Golden.parameters(run, Component.UNET)));
      assertThat(files(output))
          .contains(
              "text_encoder/model.safetensors.index.json",
              "text_encoder/model-00001-of-00001.safetensors")
          .doesNotContain("notes.txt", "text_encoder/pytorch_model.bin", TEXT);
      // diffusers would read the shards in preference to a new single file.
      write(
          run,
          ModelFolder.open(base, null),
          output,
          Map.of(Component.TEXT_ENCODER, Golden.parameters(run, Component.TEXT_ENCODER)));
      assertThat(files(output))
          .contains(TEXT)
          .doesNotContain("text_encoder/model.safetensors.index.json");
    }
  }

  @Test
  void shouldNotNameComponentsThatAreNotThere() throws IOException {
    Path base = Golden.copy(folder.resolve("base"));
    Path index = base.resolve("model_index.json");
    var root = JsonFile.read(index);
    root.putArray("safety_checker").add("stable_diffusion").add("StableDiffusionSafetyChecker");
    root.putArray("feature_extractor").add("transformers").add("CLIPImageProcessor");
    root.put("requires_safety_checker", true);
    Files.writeString(index, root.toString());
    Files.createDirectories(base.resolve("feature_extractor"));
    Files.writeString(base.resolve("feature_extractor/preprocessor_config.json"), "{}");
    Path output = folder.resolve("out");
    try (Arena run = Arena.open("run")) {
      write(run, ModelFolder.open(base, null), output, Map.of());
    }
    var written = JsonFile.read(output.resolve("model_index.json"));
    assertThat(written.path("safety_checker").get(0).isNull()).isTrue();
    assertThat(written.path("requires_safety_checker").asBoolean(true)).isFalse();
    assertThat(written.path("feature_extractor").get(1).asText()).isEqualTo("CLIPImageProcessor");
    assertThat(written.path("unet")).isEqualTo(root.path("unet"));
    assertThat(output.resolve("feature_extractor/preprocessor_config.json")).exists();
  }

  @Test
  void shouldHaveTheTextEncoderLoadedInTheTypeOfTheUNet() throws IOException {
    Path base = Golden.copy(folder.resolve("base"));
    Path config = base.resolve("text_encoder/config.json");
    Files.writeString(config, JsonFile.read(config).put("dtype", "bfloat16").toString());
    Path output = folder.resolve("out");
    try (Arena run = Arena.open("run")) {
      write(run, ModelFolder.open(base, null), output, Map.of());
    }
    assertThat(JsonFile.read(output.resolve("text_encoder/config.json")))
        .isEqualTo(JsonFile.read(Golden.MODEL.resolve("text_encoder/config.json")));
  }

  /** Run in a process of its own, whose files may not grow as large as the UNet's. */
  public static final class Child {
    private Child() {}

    /** Writes the model with all of the UNet's weights zero to the folder given. */
    public static void main(String[] args) {
      try (Arena run = Arena.open("run")) {
        Parameters unet = Golden.parameters(run, Component.UNET);
        unet.weights().zero_();
        Parameters text = Golden.parameters(run, Component.TEXT_ENCODER);
        text.weights().zero_();
        write(
            run,
            Golden.model(),
            Path.of(args[0]),
            Map.of(Component.TEXT_ENCODER, text, Component.UNET, unet));
        System.out.println("written");
      } catch (dreambooth4j.Problem e) {
        System.out.println(e.getMessage());
        System.exit(e.kind().exitCode());
      }
    }
  }

  @Test
  void shouldKeepTheOldModelWholeWhenAWriteFailsHalfWay() throws Exception {
    Path output = Golden.copy(folder.resolve("out"));
    String classpath =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    ProcessBuilder builder =
        new ProcessBuilder(
            "bash",
            "-c",
            "ulimit -f 300 && exec \"$0\" \"$@\"",
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:-UsePerfData",
            "-Dorg.bytedeco.javacpp.nopointergc=true",
            "-cp",
            classpath,
            Child.class.getName(),
            output.toString());
    Process process = builder.redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isEqualTo(1);
    assertThat(said)
        .contains(UNET + ": cannot be written: File too large")
        .doesNotContain("written\n");
    assertThat(files(output)).isEqualTo(files(Golden.MODEL));
    for (String file : files(output)) {
      assertThat(output.resolve(file)).hasSameBinaryContentAs(Golden.MODEL.resolve(file));
    }
  }
}
