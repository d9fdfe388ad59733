package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.train.TinyModel;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a training changed, from the command line. */
class BleedCommandTest {
  @TempDir private Path folder;

  private static final Path FEATURES = Path.of("src/test/resources/dreambooth4j/model/vision");
  private static final String BASE = TinyRun.MODEL.toString();

  private Ran bleed(String trained, String... more) {
    List<String> args = new ArrayList<>(List.of("bleed", BASE, trained));
    args.addAll(List.of("-o", folder.resolve("report").toString(), "--seeds", "2"));
    args.addAll(List.of("--timesteps", "2", "--steps", "2", "--words", "1"));
    args.addAll(List.of(more));
    return Ran.of(args);
  }

  private JsonNode json() throws IOException {
    return new ObjectMapper().readTree(folder.resolve("report/bleed.json").toFile());
  }

  @Test
  void shouldWriteATableASheetAndJson() throws IOException {
    Path deaf = folder.resolve("deaf");
    TinyModel.copyDeaf(deaf);

    Ran ran =
        bleed(
            deaf.toString(),
            "--subject=sks",
            "--class=man",
            "--pictures=2",
            "--features=" + FEATURES.resolve("dinov2"));

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.out())
        .contains("1.00 [1.00, 1.00]     1.00 ", "class:", "  man", "control:", "  a bowl of fruit")
        .contains("DIV", "drawn");
    assertThat(ran.out().lines().filter(each -> !each.contains("report")))
        .as("in a terminal of 80 columns")
        .allMatch(each -> each.length() <= 80);
    assertThat(ran.out()).contains("bleed.json", "bleed.png");
    assertThat(ran.out().lines())
        .as("by the base model's features and by DINOv2's")
        .filteredOn(each -> each.equals("class:"))
        .hasSize(2);
    assertThat(json().path("features").asText()).endsWith("dinov2");
    JsonNode prompts = json().path("prompts");
    assertThat(prompts.size()).isEqualTo(2 + 4 + 6);
    for (JsonNode each : prompts) {
      assertThat(each.path("bleed").path("value").asDouble()).isEqualTo(1);
      assertThat(each.path("div").path("after").asDouble()).isPositive();
      assertThat(each.path("features_towards").path("value").asDouble()).isCloseTo(1, within(1e-9));
      assertThat(each.path("features_div").path("after").asDouble()).isPositive();
    }
    int width = ImageIO.read(folder.resolve("report/bleed.png").toFile()).getWidth();
    assertThat(width).isGreaterThanOrEqualTo(4 * 64 + 8);
  }

  /** A run's LoRA, by the run's own configuration. */
  @Test
  void shouldMeasureALoraByTheRunsConfiguration() throws IOException {
    TinyRun tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("use_lora", true)
            .with("learning_rate", 0.05)
            .with("n_save_sample", 0)
            .with("max_train_steps", 4);
    Ran trained = Ran.of(tiny.arguments("train"));
    assertThat(trained.exitCode()).as(trained.err()).isZero();
    Path lora;
    try (var files = Files.list(tiny.output())) {
      lora = files.filter(f -> f.toString().endsWith(".safetensors")).findFirst().orElseThrow();
    }

    Ran ran =
        bleed(
            lora.toString(),
            tiny.output().resolve("config.yaml").toString(),
            "--pictures=1",
            "--pictures-of=class,asked");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("subject:", "  sks, man", "frequent:", "  hat", "PRES");
    JsonNode subject = json().path("prompts").path(0);
    assertThat(subject.path("change").path("value").asDouble()).isPositive();
    assertThat(subject.path("bleed").path("value").asDouble()).isEqualTo(1);
    assertThat(json().path("prompts"))
        .filteredOn(prompt -> prompt.has("div"))
        .extracting(prompt -> prompt.path("kind").asText())
        .containsExactlyInAnyOrder("subject", "class");
  }

  @Test
  void shouldAskOnlyWhatIsWanted() throws IOException {
    Ran ran =
        bleed(
            BASE, "--subject=sks", "--class=man", "--pictures=0", "--neighbours=1", "--controls=0");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(json().path("prompts"))
        .extracting(prompt -> prompt.path("kind").asText())
        .containsExactlyInAnyOrder("subject", "class", "neighbour");
  }

  @Test
  void shouldSayWhatIsMissingOrOutOfBounds() {
    assertThat(bleed(BASE).exitCode()).isEqualTo(2);
    assertThat(bleed(BASE).err()).contains("the subject is not known", "--subject PROMPT");
    Ran none = bleed(BASE, "--subject", "sks", "--seeds", "0");
    assertThat(none.exitCode()).isEqualTo(2);
    assertThat(none.err()).contains("--seeds");
    Ran kind = bleed(BASE, "--subject", "sks", "--pictures-of", "cats");
    assertThat(kind.exitCode()).isEqualTo(2);
    assertThat(kind.err()).contains("--pictures-of", "NEIGHBOUR");
    Ran lost = bleed(folder.resolve("lost").toString(), "--subject", "sks");
    assertThat(lost.exitCode()).isEqualTo(3);
  }

  /** The trained model, which is not there either, is opened later. */
  @Test
  void shouldRefuseAFolderOfFeaturesBeforeAnythingElse() {
    Ran none = Ran.of(List.of("bleed", BASE, "lost", "--subject=sks", "--features=" + folder));
    assertThat(none.exitCode()).isEqualTo(3);
    assertThat(none.err()).contains("config.json: expected a JSON file, found none");
    Ran unseen =
        bleed(BASE, "--subject=sks", "--pictures=0", "--features=" + FEATURES.resolve("clip"));
    assertThat(unseen.exitCode()).isEqualTo(2);
    assertThat(unseen.err()).contains("--pictures 0 draws none", "leave out one");
  }
}
