package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReviewCommandTest {
  @TempDir Path folder;

  @Test
  void shouldServeUntilInterrupted() throws Exception {
    TinyRun tiny = new TinyRun(folder).withPaintedClassImages();
    try (Child child = Child.of(tiny.arguments("class-images", "--review"))) {
      child.waitFor("Ctrl-C ends it");
      Matcher address =
          Pattern.compile("Review: (http://127\\.0\\.0\\.1:\\S+/)").matcher(child.said());
      assertThat(address.find()).as(child.said()).isTrue();
      HttpRequest request = HttpRequest.newBuilder(URI.create(address.group(1))).build();
      assertThat(HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body())
          .contains("<title>Class images</title>");
      hangUp(request.uri(), "POST", "make-all", "{");
      hangUp(request.uri(), "POST", "keep", "");
      hangUp(request.uri(), "GET", "pictures/1?large", "");
      hangUp(request.uri(), "GET", "rows?from=0&count=100", "");
      assertThat(child.signal("INT").exitCode()).as(child.said()).isEqualTo(130);
      assertThat(child.said())
          .contains("The review has ended")
          .doesNotContain("WARN", "INFO", "\tat ", "error", "Stopping", "saved first");
    }
  }

  /** Begins a request and is gone before it ends or is answered. */
  private static void hangUp(URI page, String method, String path, String body) throws IOException {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), page.getPort())) {
      socket.setSoLinger(true, 0);
      String length = method.equals("POST") ? "\r\nContent-Length: 100" : "";
      String head =
          "%s %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json%s\r\n\r\n%s"
              .formatted(method, page.getPath(), path, page.getAuthority(), length, body);
      socket.getOutputStream().write(head.getBytes(StandardCharsets.ISO_8859_1));
    }
  }

  @Test
  void shouldRefuseAPortThatServesNothing() throws Exception {
    TinyRun tiny = new TinyRun(folder).withPaintedClassImages();
    Ran ran = Ran.of(tiny.arguments("class-images", "--port=8080"));
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("--review");
    ran = Ran.of(tiny.arguments("class-images", "--review", "--port=99999"));
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("--port 99999");
    ran = Ran.of(tiny.arguments("class-images", "--review", "--plan"));
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("--plan");
  }
}
