package dreambooth4j.web;

import dreambooth4j.Problem;
import dreambooth4j.data.Thumbnail;
import dreambooth4j.page.LivePage;
import io.javalin.config.JavalinConfig;
import io.javalin.http.Context;
import io.javalin.http.HttpStatus;
import io.javalin.http.NotFoundResponse;
import java.util.Objects;

/** Serves the page of a run that goes on the loopback interface, to whoever has its address. */
public final class MonitorServer implements AutoCloseable {
  private final LivePage page;
  private final Loopback server;

  /**
   * Starts to serve.
   *
   * @param port 0 for any that is free
   * @throws Problem if the port is taken
   */
  public MonitorServer(LivePage page, int port) {
    this.page = page;
    this.server = new Loopback("monitor_port", port, this::routes);
  }

  /** What to open in a browser. */
  public String address() {
    return server.address();
  }

  private void routes(JavalinConfig config) {
    config.routes.exception(
        Problem.class, (problem, c) -> c.status(422).result(String.valueOf(problem.getMessage())));
    config.routes.get("/{token}/", c -> text(c, "text/html", page.html()));
    config.routes.get("/{token}/data", this::data);
    config.routes.get("/{token}/pictures/{name}", this::picture);
    file(config, "page.css", "text/css");
    file(config, "page.js", "text/javascript");
    file(config, "uplot.js", "text/javascript");
    config.routes.get(
        "/{token}/icon.svg", c -> text(c, "image/svg+xml", ReviewPage.resource("icon.svg")));
  }

  private static void file(JavalinConfig config, String name, String type) {
    config.routes.get(
        "/{token}/" + name, c -> text(c, type, Objects.requireNonNull(LivePage.file(name))));
  }

  private void data(Context request) {
    String since = request.queryParam("since");
    String data = page.data(since == null ? "" : since);
    if (data == null) {
      request.status(HttpStatus.NO_CONTENT);
    } else {
      text(request, "application/json", data);
    }
  }

  private void picture(Context request) {
    Thumbnail picture = page.picture(request.pathParam("name"));
    if (picture == null) {
      throw new NotFoundResponse("no such picture");
    }
    request.contentType(picture.mediaType()).result(picture.file());
  }

  private static void text(Context request, String type, String text) {
    request.contentType(type + "; charset=utf-8").result(text);
  }

  /** Stops serving. */
  @Override
  public void close() {
    server.close();
  }
}
