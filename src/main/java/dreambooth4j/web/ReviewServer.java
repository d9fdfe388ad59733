package dreambooth4j.web;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.Problem;
import dreambooth4j.data.Thumbnail;
import dreambooth4j.review.Done;
import dreambooth4j.review.Review;
import dreambooth4j.review.ReviewRow;
import io.javalin.config.JavalinConfig;
import io.javalin.http.BadRequestResponse;
import io.javalin.http.Context;
import io.javalin.http.HttpResponseException;
import io.javalin.http.NotFoundResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Serves a review on the loopback interface. Pictures are asked for by the names that the review
 * gave them, never by paths; what an action changed is on disk when its answer arrives.
 */
public final class ReviewServer implements AutoCloseable {
  private static final JsonMapper MAPPER = new JsonMapper();
  private static final int SMALL = 320;
  private static final int LARGE = 1600;
  private static final int MOST_ROWS = 100;

  /** What the body of a request asks for. */
  private interface Action {
    Done of(JsonNode body);
  }

  private final Review review;
  private final ReviewPage page;
  private final AtomicBoolean opened = new AtomicBoolean();
  private final Loopback server;

  /**
   * Starts to serve.
   *
   * @param severalConcepts whether rows say which concept they belong to
   * @param port 0 for any that is free
   * @throws Problem if the port is taken
   */
  public ReviewServer(Review review, boolean severalConcepts, int port) {
    this.review = review;
    this.page = new ReviewPage(true, severalConcepts, this::source);
    this.server = new Loopback("--port", port, this::routes);
  }

  /** What to open in a browser. */
  public String address() {
    return server.address();
  }

  private void routes(JavalinConfig config) {
    config.routes.exception(
        Problem.class, (problem, c) -> json(c.status(422), Map.of("error", message(problem))));
    config.routes.get("/{token}/", this::whole);
    config.routes.get("/{token}/review.css", c -> text(c, "text/css", "review.css"));
    config.routes.get("/{token}/review.js", c -> text(c, "text/javascript", "review.js"));
    config.routes.get("/{token}/icon.svg", c -> text(c, "image/svg+xml", "icon.svg"));
    config.routes.get("/{token}/rows", this::rows);
    config.routes.get("/{token}/changes", c -> json(c, changes(number(c, "since"), null)));
    config.routes.get("/{token}/pictures/{id}", this::picture);
    act(config, "keep", b -> review.keep(text(b, "image"), flag(b, "kept")));
    act(config, "keep-all", b -> review.keepAll(text(b, "row"), flag(b, "kept")));
    act(config, "delete", b -> review.delete(text(b, "image")));
    act(config, "again", b -> review.again(text(b, "image")));
    act(config, "make", b -> review.make(text(b, "row")));
    act(config, "make-all", b -> review.makeAll());
    act(config, "cancel", b -> review.cancel());
    act(config, "caption", b -> review.caption(text(b, "row"), text(b, "before"), text(b, "text")));
    act(config, "undo", b -> review.undo());
  }

  private void act(JavalinConfig config, String name, Action action) {
    config.routes.post(
        "/{token}/" + name,
        c -> {
          JsonNode body = body(c);
          Done done = action.of(body);
          json(c, changes(body.path("since").asLong(), done));
        });
  }

  private void whole(Context request) {
    if (opened.getAndSet(true)) {
      review.rescan(); // the first time, all was looked through a moment ago
    }
    html(request, page.page(review.changes(0), "", ""));
  }

  private void rows(Context request) {
    int count = (int) Math.min(MOST_ROWS, number(request, "count"));
    int from = (int) Math.min(Integer.MAX_VALUE, number(request, "from"));
    html(request, page.rows(review.rows(from, count)));
  }

  private void picture(Context request) {
    Path file = review.picture(request.pathParam("id"));
    if (file == null) {
      throw new NotFoundResponse("no such picture");
    }
    Thumbnail picture = Thumbnail.of(file, request.queryParam("large") == null ? SMALL : LARGE);
    request.contentType(picture.mediaType()).result(picture.file());
  }

  private ReviewPage.Source source(Path picture) {
    String id = review.id(picture);
    return new ReviewPage.Source("pictures/" + id, "pictures/" + id + "?large", id);
  }

  private Map<String, Object> changes(long since, @Nullable Done done) {
    Review.Changes changes = review.changes(since);
    Map<String, String> rows = new LinkedHashMap<>();
    for (ReviewRow row : changes.rows()) {
      rows.put(row.id(), page.row(row));
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("version", changes.version());
    answer.put("reordered", changes.reordered());
    answer.put("rows", rows);
    answer.put("summary", changes.summary());
    answer.put("problem", changes.problem());
    answer.put("said", done == null ? null : done.said());
    answer.put("row", done == null ? null : done.row());
    return answer;
  }

  private static long number(Context request, String name) {
    try {
      return Math.max(0, Long.parseLong(String.valueOf(request.queryParam(name))));
    } catch (NumberFormatException e) {
      throw new BadRequestResponse(name + " must be a number");
    }
  }

  private static JsonNode body(Context request) throws IOException {
    byte[] bytes = request.bodyInputStream().readNBytes(Loopback.LONGEST_REQUEST_BYTES + 1);
    if (bytes.length > Loopback.LONGEST_REQUEST_BYTES) {
      throw new HttpResponseException(413, "too long");
    }
    try {
      JsonNode body = MAPPER.readTree(bytes);
      if (body.isObject()) {
        return body;
      }
    } catch (JsonProcessingException e) {
      throw new BadRequestResponse("no JSON");
    }
    throw new BadRequestResponse("a JSON object is wanted");
  }

  private static String text(JsonNode body, String name) {
    JsonNode value = body.path(name);
    if (!value.isTextual()) {
      throw new BadRequestResponse(name + " must be a text");
    }
    return value.asText();
  }

  private static boolean flag(JsonNode body, String name) {
    JsonNode value = body.path(name);
    if (!value.isBoolean()) {
      throw new BadRequestResponse(name + " must be true or false");
    }
    return value.asBoolean();
  }

  private static String message(Problem problem) {
    return String.valueOf(problem.getMessage());
  }

  private static void text(Context request, String type, String resource) {
    request.contentType(type + "; charset=utf-8").result(ReviewPage.resource(resource));
  }

  private static void html(Context request, String html) {
    request.contentType("text/html; charset=utf-8").result(html);
  }

  private static void json(Context request, Object value) {
    try {
      request
          .contentType("application/json")
          .result(MAPPER.writeValueAsString(value).getBytes(StandardCharsets.UTF_8));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Stops serving. */
  @Override
  public void close() {
    server.close();
  }
}
