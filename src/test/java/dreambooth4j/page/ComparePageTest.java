package dreambooth4j.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ComparePageTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private Path slow;

  @SuppressWarnings("NullAway.Init")
  private Path fast;

  @BeforeEach
  void run() throws IOException {
    slow = TinyFolder.of(folder.resolve("slow/out"), TinyFolder.HOSTILE, 4, 1e-6);
    fast = TinyFolder.of(folder.resolve("fast/out"), "sks", 6, 1e-4);
  }

  @Test
  void shouldDrawRunsOnTheSameAxesAndSayWhatDiffers() throws IOException {
    Path file = folder.resolve("compare.html");
    ComparePage.write(List.of(slow, fast), file);
    Document page = Jsoup.parse(file);
    assertThat(page.select("header tbody th").eachText()).containsExactly("slow/out", "fast/out");
    assertThat(page.select("#differences tbody tr")).hasSize(1);
    assertThat(page.select("#differences tbody tr").text())
        .isEqualTo("learning_rate 1.0E-6 1.0E-4");
    assertThat(page.select("#moved tbody tr")).hasSize(1);
    assertThat(page.select("#moved tbody td").eachText()).containsExactly("0.25", "0.25");
    assertThat(page.select("link, script[src], [onerror]")).isEmpty();
    JsonNode data = new ObjectMapper().readTree(page.expectFirst("#data").data());
    JsonNode loss = data.path("charts").get(0);
    assertThat(loss.path("title").asText()).isEqualTo("Instance loss");
    assertThat(loss.path("lines").findValuesAsText("name")).containsExactly("slow/out", "fast/out");
    assertThat(loss.path("lines").get(1).path("x")).hasSize(6);
    assertThat(data.path("samples").findValuesAsText("name"))
        .contains("slow/out: sks", "fast/out: sks");
  }

  @Test
  void shouldRefuseWhatCannotBeCompared() {
    Path file = folder.resolve("compare.html");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ComparePage.write(List.of(slow, slow.resolve("../out")), file))
        .withMessageContaining("given twice");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ComparePage.write(List.of(slow, folder), file))
        .withMessageContaining(folder + " holds no run");
    assertThat(file).doesNotExist();
  }
}
