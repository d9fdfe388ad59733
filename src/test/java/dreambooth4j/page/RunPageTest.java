package dreambooth4j.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunPageTest {
  @TempDir Path folder;

  private Document page() throws IOException {
    return Jsoup.parse(RunPage.write(folder));
  }

  private static JsonNode data(Document page) throws IOException {
    return new ObjectMapper().readTree(page.expectFirst("#data").data());
  }

  @Test
  void shouldShowWhatTheFolderHolds() throws IOException {
    TinyFolder.of(folder, "sks", 10, 1e-4);
    Files.writeString(
        folder.resolve("metrics.jsonl"),
        TinyFolder.line(11, 1e-4) + "{\"step\":11,\"validation_loss\":0.25}\n",
        StandardOpenOption.APPEND);
    Document page = page();
    assertThat(page.title()).isEqualTo("sks – training run");
    assertThat(page.select("#state").text()).isEqualTo("The run is complete");
    JsonNode data = data(page);
    assertThat(data.path("charts").findValuesAsText("title"))
        .containsExactly(
            "Loss",
            "Learning rate",
            "Norm of the gradients",
            "Pictures a second",
            "Seconds a step",
            "Memory");
    JsonNode loss = data.path("charts").get(0).path("lines");
    assertThat(loss.findValuesAsText("name"))
        .containsExactly("instance", "prior", "instance + weight × prior", "validation loss");
    assertThat(loss.get(0).path("y").get(3).asDouble()).isEqualTo(0.25);
    assertThat(loss.get(3).path("x")).hasSize(1);
    JsonNode memory = data.path("charts").get(5).path("lines");
    assertThat(memory.findValuesAsText("name"))
        .contains("tensors by the plan", "the process before the run");
    assertThat(data.path("tiles").findValuesAsText("value"))
        .containsExactly(
            "11 of 10", "8.00 pictures/s", "0.500 · 0.500 · 0.500 s", "400 MB", "1 h 01 min");
    JsonNode samples = data.path("samples").get(0);
    assertThat(samples.path("name").asText()).isEqualTo("sks");
    assertThat(samples.path("steps").findValuesAsText("step")).containsExactly("0", "5", "10");
    assertThat(samples.path("steps").get(2).path("source").asText()).startsWith("data:image/png;");
    assertThat(page.select(".settings tr.given th").eachText())
        .containsExactly("seed", "learning_rate", "instance_prompt");
    assertThat(page.select(".settings td:last-child").eachText())
        .containsExactly("--seed", "config.yaml:12", "default", "config.yaml:3");
    assertThat(page.select("#class-images img")).hasSize(1);
    assertThat(page.select("#moved tbody td").eachText().subList(0, 2))
        .containsExactly("class", "0.25");
    assertThat(page.select("#moved meter").attr("value")).isEqualTo("25");
    assertThat(page.select("#machine").text()).contains("float32", "Java 17");
  }

  /** It kept another number of the same prompts: rather none than 0.00 for each. */
  @Test
  void shouldLeaveOutHowFarWordsMovedWhereAnOlderVersionMeasuredIt() throws IOException {
    TinyFolder.of(folder, "sks", 3, 1e-4);
    Path record = folder.resolve("run.json");
    String written = Files.readString(record);
    assertThat(written).contains("\"towards\"");
    Files.writeString(record, written.replace("\"towards\"", "\"bleed\""));
    assertThat(page().select("#moved")).isEmpty();
  }

  /** Captions, paths and prompts are anybody's. */
  @Test
  void shouldTakeNoWordsForItsOwn() throws IOException {
    TinyFolder.of(folder, TinyFolder.HOSTILE, 3, 1e-4);
    Document page = page();
    assertThat(page.title()).isEqualTo(TinyFolder.HOSTILE + " – training run");
    assertThat(page.select("script")).hasSize(3);
    assertThat(page.select("[onerror]")).isEmpty();
    assertThat(page.select("#warnings .warning").text()).isEqualTo(TinyFolder.HOSTILE);
    assertThat(page.select("#class-images img").attr("alt")).isEqualTo(TinyFolder.HOSTILE);
  }

  @Test
  void shouldLoadNothing() throws IOException {
    TinyFolder.of(folder, "sks", 3, 1e-4);
    Document page = page();
    assertThat(page.select("link, script[src], iframe, object")).isEmpty();
    assertThat(page.select("img").eachAttr("src")).allMatch(src -> src.startsWith("data:image/"));
    assertThat(page.select("meta[http-equiv=Content-Security-Policy]").attr("content"))
        .startsWith("default-src 'none'; img-src data:; style-src 'sha256-");
  }

  @Test
  void shouldBeMadeOfARunThatWasKilledBeforeItsFirstStep() throws IOException {
    TinyFolder.of(folder, "sks", 3, 1e-4);
    Files.delete(folder.resolve("metrics.jsonl"));
    Files.writeString(folder.resolve("samples/000003-sks.png"), "no picture");
    Document page = page();
    assertThat(data(page).path("charts")).isEmpty();
    assertThat(data(page).path("samples").get(0).path("steps")).hasSize(2);
    assertThat(page.text())
        .contains(
            "Pictures that are not on this page, because the page would be too large or they are"
                + " damaged or missing: 1.");
  }

  @Test
  void shouldSayWhatIsNoRun() throws IOException {
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> RunPage.write(folder))
        .withMessageContaining("Give the output_dir of a run");
    for (String damaged :
        List.of("", "{", "[]", "null", "{\"steps\":\"x\"}", "{\"state\":\"?\"}")) {
      Files.writeString(folder.resolve("run.json"), damaged);
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> RunPage.write(folder))
          .withMessageContaining("run.json is damaged");
    }
  }

  @Test
  void shouldHoldFewOfManySamples() throws IOException {
    TinyFolder.of(folder, "sks", 10, 1e-4);
    Path one = folder.resolve("samples/000000-sks.png");
    for (int i = 1; i < 100; i++) {
      Files.copy(one, folder.resolve("samples/%06d-many.png".formatted(i)));
    }
    JsonNode steps = data(page()).path("samples").get(0).path("steps");
    assertThat(steps).hasSize(40);
    assertThat(steps.get(0).path("step").asInt()).isEqualTo(1);
    assertThat(steps.get(39).path("step").asInt()).isEqualTo(99);
  }
}
