package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.data.TestPictures;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClassImagesCommandTest {
  private static final Path MODEL = Path.of("src/test/resources/goldens/sd1/model");

  private final PrintStream realOut = System.out;
  private final PrintStream realErr = System.err;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @TempDir Path folder;
  private Path classFolder = Path.of("");

  @BeforeEach
  void prepare() throws IOException {
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
    classFolder = folder.resolve("class");
    TestPictures.write(folder.resolve("p"), "a", 32, 32, "sks, man, hat");
    TestPictures.write(folder.resolve("p"), "b", 32, 32, "sks, man, hat");
    TestPictures.write(folder.resolve("p"), "c", 48, 32, "sks on a beach");
  }

  @AfterEach
  void release() {
    System.setOut(realOut);
    System.setErr(realErr);
  }

  private int run(String... more) {
    List<String> arguments = new ArrayList<>(List.of("class-images"));
    arguments.addAll(
        List.of(
            "--pretrained_model_name_or_path=" + MODEL,
            "--instance_data_dir=" + folder.resolve("p"),
            "--class_data_dir=" + classFolder,
            "--output_dir=" + folder.resolve("out"),
            "--instance_token=sks",
            "--class_token=man",
            "--num_class_images_per=2",
            "--class_infer_steps=2",
            "--scheduler=ddim",
            "--class_negative_prompt=blurry",
            "--resolution=32"));
    arguments.addAll(List.of(more));
    out.reset();
    err.reset();
    return Main.run(arguments.toArray(String[]::new));
  }

  private String out() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private String err() {
    return err.toString(StandardCharsets.UTF_8);
  }

  /** Names and contents of what is in the class folder. */
  private Map<String, String> files() throws IOException {
    Map<String, String> files = new TreeMap<>();
    try (Stream<Path> all = Files.list(classFolder)) {
      for (Path file : all.toList()) {
        files.put(
            String.valueOf(file.getFileName()),
            Files.readString(file, StandardCharsets.ISO_8859_1));
      }
    }
    return files;
  }

  @Test
  void shouldShowThePlanAndMakeNothing() {
    assertThat(run("--plan")).as(err()).isZero();
    assertThat(out())
        .contains(" needed   there missing  bucket     class caption\n")
        .contains("      4       0       4  32x32      man, hat\n")
        .contains("      2       0       2  32x24      man on a beach\n")
        .contains("      6       0       6  in all\n")
        .containsPattern(
            "\nMaking them takes about \\d+ s here: measured with one sampler step of 4 at once at"
                + " 32x32\n$");
    assertThat(classFolder).doesNotExist();
    assertThat(run("--plan", "--pretrained_model_name_or_path=")).as(err()).isZero();
    assertThat(out())
        .contains("in all\nThe time that making them takes is not estimated without a base model");
  }

  @Test
  void shouldSayWhichPromptsAreReadOnlyInPart() throws IOException {
    assertThat(run("--plan", "--class_negative_prompt=" + "blurry, ".repeat(60))).isZero();
    assertThat(err())
        .contains("class_negative_prompt of ", " tokens, of which 75 are read; cut off: ")
        .contains("max_token_length: ");
  }

  @Test
  void shouldMakeWhatIsMissingEachWithItsCaptionAndItsRecord() throws IOException {
    assertThat(run()).as(err()).isZero();
    assertThat(err())
        .contains("class images 6/6")
        .containsPattern("\nMade 6 class images in \\d+:\\d\\d, \\S+ images/s\n$");
    Map<String, String> files = files();
    assertThat(files.keySet().stream().map(name -> name.substring(name.length() - 3)))
        .hasSize(18)
        .contains("png", "txt", "son");
    for (String name : files.keySet()) {
      if (name.endsWith(".json")) {
        JsonNode record = new ObjectMapper().readTree(files.get(name));
        assertThat(record.get("prompt").asText())
            .isEqualTo(files.get(name.replace(".json", ".txt")));
        assertThat(record.get("negative").asText()).isEqualTo("blurry");
        assertThat(record.get("sampler").asText()).isEqualTo("ddim");
        assertThat(record.get("steps").asInt()).isEqualTo(2);
        assertThat(record.get("guidance").asDouble()).isEqualTo(7.5);
        assertThat(record.get("width").asInt()).isEqualTo(32);
        assertThat(record.get("model").asText()).hasSize(64);
      }
    }
    assertThat(run()).isZero();
    assertThat(out()).contains("      6       6       0  in all");
    assertThat(err()).isEmpty();
    assertThat(files()).isEqualTo(files);
  }

  @Test
  void shouldGoOnWhereItWasInterruptedWithoutAPictureTwice() throws IOException {
    assertThat(run("--sample_batch_size=1")).isZero();
    Map<String, String> all = files();
    String lost = all.keySet().iterator().next().replaceFirst("\\..*", "");
    for (String extension : List.of(".png", ".txt", ".json")) {
      Files.delete(classFolder.resolve(lost + extension));
    }
    // As a kill leaves it: a part of a picture, and a caption and a record without theirs.
    Files.writeString(classFolder.resolve(".x.png.part"), "half");
    Files.writeString(classFolder.resolve("x.txt"), "man, hat");
    assertThat(run("--plan")).isZero();
    assertThat(out()).contains("      6       5       1  in all");
    assertThat(run("--sample_batch_size=3")).isZero();
    Map<String, String> again = files();
    assertThat(again.keySet().stream().filter(name -> name.endsWith(".png") && !name.contains("x")))
        .hasSize(6);
    assertThat(run("--plan")).isZero();
    assertThat(out()).contains("      6       6       0  in all");
  }

  @Test
  void shouldNoticeThatTheBaseModelChanged() throws IOException {
    assertThat(run()).isZero();
    try (Stream<Path> all = Files.list(classFolder)) {
      for (Path file : all.filter(f -> f.toString().endsWith(".json")).limit(2).toList()) {
        String record = Files.readString(file);
        Files.writeString(
            file, record.replaceFirst("\"model\" : \"[0-9a-f]+\"", "\"model\" : \"other\""));
      }
    }
    assertThat(run("--plan")).isZero();
    assertThat(err())
        .contains("2 of the class images that are there were made by another base model");
    assertThat(out()).contains("      6       6       0  in all");
  }
}
