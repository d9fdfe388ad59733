package dreambooth4j.web;

import io.javalin.http.Context;
import io.javalin.http.ForbiddenResponse;
import io.javalin.http.HttpResponseException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Lets in who was given the address and nobody else. Any page that a browser shows may send
 * requests to the loopback interface, and any user of the machine: so the first part of each path
 * is a secret (not a cookie: those go to every port of a host), the host must be ours (else a name
 * that somebody points at 127.0.0.1 would do), and what a browser says of where a request comes
 * from must be here.
 */
final class Gate {
  private static final int TOKEN_BYTES = 24;

  private final String token = newToken();
  private Set<String> hosts = Set.of();

  private static String newToken() {
    byte[] bytes = new byte[TOKEN_BYTES];
    new SecureRandom().nextBytes(bytes);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  /** The server listens on this port from now on; before, nothing is let in. */
  void open(int port) {
    hosts = Set.of("127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port);
  }

  /** The path under which everything lies, {@code /TOKEN/}. */
  String path() {
    return "/" + token + "/";
  }

  /**
   * Looks at a request before anything else does, and says what a browser may do with the answer.
   *
   * @throws HttpResponseException if it is refused
   */
  void check(Context request) {
    request.header("Cache-Control", "no-store");
    request.header("X-Content-Type-Options", "nosniff");
    request.header("Referrer-Policy", "no-referrer");
    request.header("Cross-Origin-Resource-Policy", "same-origin");
    request.header("Cross-Origin-Opener-Policy", "same-origin");
    request.header(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
            + " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    String host = request.header("Host");
    if (host == null || !hosts.contains(host)) {
      throw new ForbiddenResponse("wrong host");
    }
    String origin = request.header("Origin");
    if (origin != null && !origin.equals("http://" + host)) {
      throw new ForbiddenResponse("wrong origin");
    }
    String site = request.header("Sec-Fetch-Site");
    if (site != null && !site.equals("same-origin") && !site.equals("none")) {
      throw new ForbiddenResponse("not from another page: paste the address into the browser");
    }
    if (!isToken(request.path())) {
      throw new ForbiddenResponse("wrong token: take the whole address from the terminal");
    }
    if (request.req().getMethod().equals("POST") && !isJson(request.header("Content-Type"))) {
      throw new HttpResponseException(415, "JSON only");
    }
  }

  private static boolean isJson(@Nullable String type) {
    return type != null && type.replaceFirst(";.*", "").strip().equals("application/json");
  }

  private boolean isToken(String path) {
    String[] parts = path.split("/", 3);
    return parts.length > 1
        && MessageDigest.isEqual(
            parts[1].getBytes(StandardCharsets.UTF_8), token.getBytes(StandardCharsets.UTF_8));
  }
}
