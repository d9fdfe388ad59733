package dreambooth4j.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import dreambooth4j.data.TestPictures;
import dreambooth4j.train.TinyRun;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ReviewServerTest {
  private static final Pattern IMAGE = Pattern.compile("data-image=\"(\\d+)\"");

  @TempDir Path folder;
  private final HttpClient client = HttpClient.newHttpClient();

  @SuppressWarnings("NullAway.Init")
  private TinyReview tiny;

  private Path pictures = Path.of("");
  private String address = "";

  @BeforeEach
  void serve() throws IOException {
    TinyRun run = new TinyRun(folder).withPaintedClassImages();
    pictures = run.pictures();
    tiny = new TinyReview(run);
    address = tiny.server.address();
  }

  @AfterEach
  void end() {
    tiny.close();
  }

  private HttpResponse<String> get(String path, String... headers) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address + path));
    for (int i = 0; i < headers.length; i += 2) {
      request.header(headers[i], headers[i + 1]);
    }
    return client.send(request.build(), BodyHandlers.ofString());
  }

  private HttpRequest posting(String path, String body) {
    return HttpRequest.newBuilder(URI.create(address + path))
        .header("Content-Type", "application/json")
        .POST(BodyPublishers.ofString(body))
        .build();
  }

  private HttpResponse<String> post(String path, String body) throws Exception {
    return client.send(posting(path, body), BodyHandlers.ofString());
  }

  private JsonNode done(String path, String body) throws Exception {
    HttpResponse<String> answer = post(path, body);
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return new ObjectMapper().readTree(answer.body());
  }

  private List<String> images() throws Exception {
    Matcher images = IMAGE.matcher(get("rows?from=0&count=10").body());
    List<String> ids = new ArrayList<>();
    while (images.find()) {
      ids.add(images.group(1));
    }
    return ids;
  }

  private String rowOf(String picture) throws Exception {
    Matcher row =
        Pattern.compile(
                "data-row=\"(\\d+)\"(?:(?!data-row).)*<h2 title=\"" + picture, Pattern.DOTALL)
            .matcher(get("rows?from=0&count=10").body());
    assertThat(row.find()).isTrue();
    return row.group(1);
  }

  /** A request as no browser's nor Java's client would send it; the answer's first line. */
  private String raw(String head) throws IOException {
    try (Socket socket =
        new Socket(InetAddress.getLoopbackAddress(), URI.create(address).getPort())) {
      OutputStream out = socket.getOutputStream();
      out.write((head + "\r\nConnection: close\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
      out.flush();
      return String.valueOf(
          new BufferedReader(
                  new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1))
              .readLine());
    }
  }

  @Test
  void shouldServeThePageAndItsPicturesWithNarrowRights() throws Exception {
    HttpResponse<String> page = get("");
    assertThat(page.statusCode()).isEqualTo(200);
    assertThat(page.headers().firstValue("Content-Security-Policy").orElse(""))
        .startsWith("default-src 'none'; script-src 'self';")
        .doesNotContain("unsafe");
    assertThat(page.headers().firstValue("X-Content-Type-Options")).contains("nosniff");
    assertThat(page.headers().firstValue("Cache-Control")).contains("no-store");
    assertThat(page.headers().firstValue("Referrer-Policy")).contains("no-referrer");
    assertThat(page.headers().firstValue("Server")).isEmpty();
    for (String part : List.of("review.css", "review.js", "icon.svg")) {
      assertThat(page.body()).contains(part);
      assertThat(get(part).statusCode()).isEqualTo(200);
    }
    for (String size : List.of("", "?large")) {
      HttpResponse<byte[]> picture =
          client.send(
              HttpRequest.newBuilder(URI.create(address + "pictures/" + images().get(0) + size))
                  .build(),
              BodyHandlers.ofByteArray());
      assertThat(picture.headers().firstValue("Content-Type")).contains("image/png");
      assertThat(ImageIO.read(new ByteArrayInputStream(picture.body())).getWidth()).isEqualTo(32);
    }
  }

  @Test
  void shouldListenOnTheLoopbackInterfaceOnly() {
    assertThat(address).matches("http://127\\.0\\.0\\.1:\\d+/[A-Za-z0-9_-]{32}/");
    int port = URI.create(address).getPort();
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> new ReviewServer(tiny.review, false, port))
        .withMessageContaining("--port " + port + " is taken")
        .matches(problem -> problem.kind() == Problem.Kind.USAGE);
  }

  @ParameterizedTest
  @ValueSource(strings = {"/", "/x/", "/favicon.ico", "/x/rows?from=0&count=1", "//", "/%2f"})
  void shouldRefuseWithoutTheToken(String path) throws Exception {
    String host = URI.create(address).getAuthority();
    assertThat(raw("GET " + path + " HTTP/1.1\r\nHost: " + host))
        .contains(" 40")
        .doesNotContain("404");
    String almost = address.substring(0, address.length() - 2) + "/";
    HttpRequest request = HttpRequest.newBuilder(URI.create(almost)).build();
    assertThat(client.send(request, BodyHandlers.ofString()).statusCode()).isEqualTo(403);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:PORT"})
  void shouldRefuseOtherHosts(String host) throws Exception {
    URI uri = URI.create(address);
    String get = "GET " + uri.getPath() + " HTTP/1.1\r\nHost: ";
    String port = Integer.toString(uri.getPort());
    assertThat(raw(get + host.replace("PORT", port))).contains(" 403");
    assertThat(raw(get + "localhost:" + port)).contains(" 200");
  }

  @ParameterizedTest
  @CsvSource({
    "Origin, https://evil.example", "Origin, null", "Origin, http://127.0.0.1:1",
    "Origin, http://localhost", "Sec-Fetch-Site, cross-site", "Sec-Fetch-Site, same-site"
  })
  void shouldRefuseRequestsOfOtherPages(String header, String value) throws Exception {
    assertThat(get("", header, value).statusCode()).isEqualTo(403);
    assertThat(get("pictures/1", header, value).statusCode()).isEqualTo(403);
    HttpRequest act =
        HttpRequest.newBuilder(URI.create(address + "delete"))
            .header("Content-Type", "application/json")
            .header(header, value)
            .POST(BodyPublishers.ofString("{\"image\":\"" + images().get(0) + "\"}"))
            .build();
    assertThat(client.send(act, BodyHandlers.ofString()).statusCode()).isEqualTo(403);
    assertThat(folder.resolve("class/c0.png")).exists();
    String own = address.replaceFirst("(http://[^/]+)/.*", "$1");
    assertThat(get("", "Origin", own, "Sec-Fetch-Site", "same-origin").statusCode()).isEqualTo(200);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "pictures/4711",
        "pictures/..",
        "pictures/../../../etc/passwd",
        "pictures/..%2f..%2f..%2fetc%2fpasswd",
        "pictures/%2e%2e/%2e%2e/etc/passwd",
        "pictures/c0.png",
        "pictures//etc/passwd",
        "pictures/..\\..\\etc",
        "../../etc/passwd",
        "review.html",
        "row.html",
        "rows/../../x"
      })
  void shouldKnowNoPictureThatItDidNotName(String path) throws Exception {
    URI uri = URI.create(address);
    String line = raw("GET " + uri.getPath() + path + " HTTP/1.1\r\nHost: " + uri.getAuthority());
    assertThat(line).containsPattern(" 40[034]");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "keep",
        "keep-all",
        "delete",
        "again",
        "make",
        "make-all",
        "cancel",
        "caption",
        "undo"
      })
  void shouldActOnPostsOfJsonOnly(String action) throws Exception {
    assertThat(get(action + "?image=" + images().get(0)).statusCode()).isEqualTo(405);
    HttpRequest form =
        HttpRequest.newBuilder(URI.create(address + action))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString("image=" + images().get(0)))
            .build();
    assertThat(client.send(form, BodyHandlers.ofString()).statusCode()).isEqualTo(415);
    assertThat(post(action, "[1]").statusCode()).isEqualTo(400);
    assertThat(post(action, "{").statusCode()).isEqualTo(400);
    assertThat(post(action, "{\"x\":\"" + "x".repeat(40_000) + "\"}").statusCode()).isEqualTo(413);
    assertThat(images()).hasSize(5);
  }

  @Test
  void shouldRefuseWhatIsNoRequestWithoutRepeatingIt() throws Exception {
    URI uri = URI.create(address);
    String post =
        "POST %skeep HTTP/1.1\r\nHost: %s\r\n".formatted(uri.getPath(), uri.getAuthority());
    String json = "Content-Type: application/json\r\n";
    assertThat(raw(post + "Content-Type: application/jsonx; charset=application/json\r\n"))
        .contains(" 415");
    assertThat(raw(post + json + "Transfer-Encoding: chunked\r\n\r\nzz\r\n")).contains(" 400");
    assertThat(raw(post + json + "Content-Length: -5")).contains(" 400");
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), uri.getPort())) {
      socket
          .getOutputStream()
          .write((post + json + "Content-Length: 9\r\n\r\n{}").getBytes(StandardCharsets.US_ASCII));
      socket.shutdownOutput();
      assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
          .startsWith("HTTP/1.1 400");
    }
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), uri.getPort())) {
      String broken = "GET %s%%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
      socket
          .getOutputStream()
          .write(broken.formatted(uri.getPath()).getBytes(StandardCharsets.US_ASCII));
      assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
          .startsWith("HTTP/1.1 400")
          .doesNotContain(uri.getPath(), "<html");
    }
  }

  @Test
  void shouldNotHeedAHeaderThatNamesAnotherMethod() throws Exception {
    String image = images().get(0);
    assertThat(get("", "X-HTTP-Method-Override", "POST").statusCode()).isEqualTo(200);
    assertThat(get("delete?image=" + image, "X-HTTP-Method-Override", "POST").statusCode())
        .isEqualTo(405);
    HttpRequest keep =
        HttpRequest.newBuilder(URI.create(address + "keep"))
            .header("Content-Type", "application/json")
            .header("X-HTTP-Method-Override", "GET")
            .POST(BodyPublishers.ofString("{\"image\":\"" + image + "\",\"kept\":true}"))
            .build();
    assertThat(client.send(keep, BodyHandlers.ofString()).statusCode()).isEqualTo(200);
  }

  @Test
  @Timeout(20)
  void shouldAnswerWhileManyBodiesAreSlow() throws Exception {
    URI uri = URI.create(address);
    List<Socket> slow = new ArrayList<>();
    try {
      for (int i = 0; i < 40; i++) {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), uri.getPort());
        slow.add(socket);
        String head =
            "POST %skeep HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
                .formatted(uri.getPath(), uri.getAuthority());
        socket.getOutputStream().write(head.getBytes(StandardCharsets.ISO_8859_1));
      }
      assertThat(get("").statusCode()).isEqualTo(200);
      done("keep", "{\"image\":\"" + images().get(0) + "\",\"kept\":true}");
    } finally {
      for (Socket socket : slow) {
        socket.close();
      }
    }
  }

  @Test
  void shouldRefuseWhatMakesNoSense() throws Exception {
    assertThat(post("delete", "{\"image\":[]}").statusCode()).isEqualTo(400);
    assertThat(post("keep", "{\"image\":\"1\",\"kept\":\"yes\"}").statusCode()).isEqualTo(400);
    assertThat(post("delete", "{\"image\":\"4711\"}").statusCode()).isEqualTo(422);
    assertThat(get("rows?from=a&count=1").statusCode()).isEqualTo(400);
    assertThat(get("rows?from=99999999999999999999&count=1").statusCode()).isEqualTo(400);
    assertThat(get("rows?from=-5&count=1000000").body()).contains("data-row");
    String caption = "{\"row\":\"%s\",\"before\":\"sks, man, hat\",\"text\":\"%s\"}";
    HttpResponse<String> answer =
        post("caption", caption.formatted(rowOf("p0.png"), "x".repeat(5000)));
    assertThat(answer.statusCode()).isEqualTo(422);
    assertThat(answer.body()).contains("at most 4000 characters, this one 5000");
    assertThat(pictures.resolve("p0.txt")).hasContent("sks, man, hat");
  }

  @Test
  void shouldHaveOnDiskWhatItAnswers() throws Exception {
    List<String> images = images();
    JsonNode answer =
        done("keep", "{\"image\":\"" + images.get(0) + "\",\"kept\":true,\"since\":1}");
    assertThat(folder.resolve("class/.review/kept.json")).hasContent("[\"c0.png\"]");
    assertThat(answer.at("/summary/kept").asInt()).isEqualTo(1);
    answer =
        done(
            "delete",
            "{\"image\":\"" + images.get(1) + "\",\"since\":" + answer.get("version") + "}");
    assertThat(folder.resolve("class/c1.png")).doesNotExist();
    assertThat(answer.get("rows")).hasSize(1);
    assertThat(answer.get("rows").toString()).contains("missing");
    answer = done("delete", "{\"image\":\"" + images.get(1) + "\"}");
    assertThat(answer.get("said").asText()).isEqualTo("this class image was deleted before");
    answer = done("undo", "{}");
    assertThat(folder.resolve("class/c1.png")).exists();
    assertThat(answer.at("/summary/missing").asInt()).isZero();
  }

  @Test
  void shouldBearManyActionsAtOnce() throws Exception {
    List<String> images = images();
    List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      String image = images.get(i % images.size());
      String body = "{\"image\":\"%s\",\"kept\":%s}".formatted(image, i % 2 == 0);
      String action = i % 7 == 6 ? "undo" : i % 3 == 0 ? "delete" : "keep";
      answers.add(client.sendAsync(posting(action, body), BodyHandlers.ofString()));
    }
    for (CompletableFuture<HttpResponse<String>> answer : answers) {
      assertThat(answer.get().statusCode()).as(answer.get().body()).isIn(200, 422);
    }
    for (int i = 0; i < 60; i++) {
      done("undo", "{}");
    }
    assertThat(images()).containsExactlyElementsOf(images);
    for (int i = 0; i < 5; i++) {
      assertThat(folder.resolve("class/c" + i + ".png")).exists();
      assertThat(folder.resolve("class/c" + i + ".txt")).exists();
    }
  }

  @Test
  void shouldShowCaptionsAndNamesAsText() throws Exception {
    String evil = "<script>alert(1)</script> \"'&amp; <img src=x onerror=alert(2)>";
    TestPictures.paint(pictures, "a\"><script>x<", 32, 32, "sks, man, " + evil, 7);
    get("");
    get(""); // looks through the folders again
    String html = get("rows?from=0&count=10").body();
    assertThat(html)
        .contains("&lt;script&gt;alert(1)&lt;/script&gt; &quot;&#39;&amp;amp; &lt;img")
        .doesNotContain("<script", "<img src=x", "a\">");
    JsonNode answer =
        done(
            "caption",
            new ObjectMapper()
                .writeValueAsString(
                    Map.of(
                        "row",
                        rowOf("p0.png"),
                        "before",
                        "sks, man, hat",
                        "text",
                        "sks, man, </textarea>" + evil)));
    assertThat(answer.get("rows").toString()).doesNotContain("<script", "</textarea");
    assertThat(Files.readString(pictures.resolve("p0.txt")))
        .isEqualTo("sks, man, </textarea>" + evil);
  }
}
