package dreambooth4j.web;

import dreambooth4j.Problem;
import io.javalin.Javalin;
import io.javalin.compression.CompressionStrategy;
import io.javalin.config.JavalinConfig;
import io.javalin.http.Context;
import io.javalin.http.HttpResponseException;
import io.javalin.util.JavalinBindException;
import java.util.function.Consumer;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.io.EofException;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.handler.EagerContentHandler;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.jspecify.annotations.Nullable;

/** A server on the loopback interface, behind a {@link Gate}. What it serves is its user's. */
final class Loopback implements AutoCloseable {
  /** A longer body is refused. */
  static final int LONGEST_REQUEST_BYTES = 32 << 10;

  private static final System.Logger LOGGER = System.getLogger(Loopback.class.getName());
  private static final int FRAMING_BYTES = 1 << 10;
  private static final int THREADS = 12;
  private static final int LAST_PORT = 65_535;

  private final Gate gate = new Gate();
  private final Javalin server;

  /**
   * Starts to serve.
   *
   * @param flag what the port was given by, for messages
   * @param port 0 for any that is free
   * @param routes adds what is served, below {@code /{token}/}
   * @throws Problem if the port is taken
   */
  Loopback(String flag, int port, Consumer<JavalinConfig> routes) {
    if (port < 0 || port > LAST_PORT) {
      throw refused(flag, port, null);
    }
    server =
        Javalin.create(
            config -> {
              configure(config);
              routes.accept(config);
            });
    try {
      server.start("127.0.0.1", port);
    } catch (JavalinBindException e) {
      throw refused(flag, port, e);
    }
    gate.open(server.port());
  }

  private static Problem refused(String flag, int port, @Nullable Throwable cause) {
    return new Problem(
        Problem.Kind.USAGE,
        "%s %d is taken or no port: give another one, or none for any that is free"
            .formatted(flag, port),
        cause);
  }

  /** What to open in a browser. */
  String address() {
    return "http://127.0.0.1:" + server.port() + gate.path();
  }

  private void configure(JavalinConfig config) {
    config.startup.showJavalinBanner = false;
    config.startup.showOldJavalinVersionWarning = false;
    config.http.prefer405over404 = true;
    config.http.compressionStrategy = CompressionStrategy.NONE;
    config.jetty.threadPool = new QueuedThreadPool(THREADS);
    config.jetty.modifyHttpConfiguration(
        http -> {
          http.setSendServerVersion(false);
          http.addCustomizer((request, answer) -> new AsSent(request));
        });
    // Bodies are read before a thread is taken for them: slow ones block nobody.
    config.jetty.modifyServer(
        jetty -> {
          jetty.setHandler(
              new EagerContentHandler(
                  new EagerContentHandler.RetainedContentLoaderFactory(
                      LONGEST_REQUEST_BYTES, FRAMING_BYTES, true)));
          jetty.setErrorHandler(Loopback::refusedByJetty);
        });
    config.routes.before(gate::check);
    config.routes.exception(Exception.class, Loopback::failed);
  }

  /** A request with the method it was sent with, for Javalin heeds a header that says another. */
  private static final class AsSent extends Request.Wrapper {
    private final HttpFields fields;

    AsSent(Request request) {
      super(request);
      fields =
          HttpFields.build(request.getHeaders()).remove("X-HTTP-Method-Override").asImmutable();
    }

    @Override
    public HttpFields getHeaders() {
      return fields;
    }
  }

  /** Jetty's own pages would repeat what was asked for. */
  private static boolean refusedByJetty(Request request, Response response, Callback callback) {
    response.write(true, null, callback);
    return true;
  }

  private static void failed(Exception failure, Context request) {
    if (failure instanceof EofException) {
      request.status(400); // the client has hung up, or sent less than it said
      return;
    }
    if (failure instanceof HttpResponseException refusal) {
      request.status(refusal.getStatus()).result(String.valueOf(refusal.getMessage()));
    } else {
      LOGGER.log(System.Logger.Level.ERROR, request.path(), failure);
      request.status(500).contentType("text/plain").result(failure.toString());
    }
  }

  /** Stops serving. */
  @Override
  public void close() {
    server.stop();
  }
}
