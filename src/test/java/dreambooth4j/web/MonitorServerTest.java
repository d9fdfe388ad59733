package dreambooth4j.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import dreambooth4j.page.LivePage;
import dreambooth4j.page.TinyFolder;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MonitorServerTest {
  @TempDir Path folder;

  private final HttpClient client = HttpClient.newHttpClient();

  @SuppressWarnings("NullAway.Init")
  private LivePage page;

  @SuppressWarnings("NullAway.Init")
  private MonitorServer server;

  @BeforeEach
  void serve() {
    page = new LivePage(folder);
    server = new MonitorServer(page, 0);
  }

  @AfterEach
  void close() {
    server.close();
  }

  private HttpResponse<String> get(String path, String... headers)
      throws IOException, InterruptedException {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(server.address() + path));
    for (int i = 0; i < headers.length; i += 2) {
      request.header(headers[i], headers[i + 1]);
    }
    return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void shouldWaitForTheRunWhateverAnEarlierOneLeft() throws Exception {
    TinyFolder.of(folder, "earlier", 3, 1e-4);
    assertThat(get("").body()).contains("Before the first step").doesNotContain("earlier");
    assertThat(get("data").statusCode()).isEqualTo(204);
    page.begin();
    assertThat(get("").body()).contains("Training of earlier");
  }

  @Test
  void shouldSendWhatIsNew() throws Exception {
    TinyFolder.of(folder, "sks", 3, 1e-4);
    page.begin();
    Document html = Jsoup.parse(get("").body());
    assertThat(html.body().attr("data-live")).isEqualTo("data");
    JsonNode first = new ObjectMapper().readTree(html.expectFirst("#data").data());
    String since = "data?since=" + first.path("version").asText();
    assertThat(get(since).statusCode()).isEqualTo(204);
    Files.writeString(
        folder.resolve("metrics.jsonl"), TinyFolder.line(4, 1e-4), StandardOpenOption.APPEND);
    JsonNode next = new ObjectMapper().readTree(get(since).body());
    assertThat(next.path("charts").get(0).path("lines").get(0).path("x")).hasSize(4);
    String picture = next.path("samples").get(0).path("steps").get(0).path("source").asText();
    assertThat(get(picture).headers().firstValue("Content-Type")).contains("image/png");
    assertThat(get("pictures/99").statusCode()).isEqualTo(404);
    for (String each : html.select("link").eachAttr("href")) {
      assertThat(get(each).statusCode()).as(each).isEqualTo(200);
    }
    for (String each : html.select("script[src]").eachAttr("src")) {
      assertThat(get(each).statusCode()).as(each).isEqualTo(200);
    }
  }

  @Test
  void shouldLetInNobodyElse() throws Exception {
    page.begin();
    String address = server.address();
    String other = address.replaceAll("/[^/]+/$", "/AAAA/");
    HttpRequest without = HttpRequest.newBuilder(URI.create(other)).build();
    assertThat(client.send(without, HttpResponse.BodyHandlers.ofString()).statusCode())
        .isEqualTo(403);
    assertThat(get("", "Origin", "http://example.org").statusCode()).isEqualTo(403);
    assertThat(get("data", "Sec-Fetch-Site", "cross-site").statusCode()).isEqualTo(403);
  }

  @Test
  void shouldSayThatItsPortIsTaken() {
    int port = URI.create(server.address()).getPort();
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> new MonitorServer(page, port))
        .withMessageContaining("monitor_port " + port + " is taken");
  }
}
