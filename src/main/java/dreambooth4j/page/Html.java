package dreambooth4j.page;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.samskivert.mustache.Mustache;
import com.samskivert.mustache.Template;
import dreambooth4j.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Objects;
import java.util.stream.Collectors;

/** What pages are made of: templates, styles, scripts, and what a browser may do with them. */
public final class Html {
  /** The library that draws charts, and its style: of the WebJar on the class path. */
  private static final String CHARTS = "/META-INF/resources/webjars/uplot/1.6.30/dist/";

  private static final JsonMapper JSON = new JsonMapper();

  private Html() {}

  /** A file that lies beside this class. */
  static String resource(String name) {
    return resource(Html.class, name);
  }

  /** A file of the program, as text. */
  public static String resource(Class<?> beside, String name) {
    try (InputStream in = beside.getResourceAsStream(name)) {
      return new String(Objects.requireNonNull(in, name).readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A template, which escapes what it is given. */
  static Template template(String name) {
    return Mustache.compiler().emptyStringIsFalse(true).zeroIsFalse(true).compile(resource(name));
  }

  /** The library that draws charts; empty if the program was put together without it. */
  static String chartScript() {
    return charts("uPlot.iife.min.js");
  }

  /** Its style. */
  static String chartStyle() {
    return charts("uPlot.min.css");
  }

  private static String charts(String file) {
    return Html.class.getResource(CHARTS + file) == null ? "" : resource(CHARTS + file);
  }

  /** A value as JSON that can stand inside a script element. */
  static String json(Object value) {
    try {
      return JSON.writeValueAsString(value).replace("<", "\\u003c").replace("\u2028", "\\u2028");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * The content security policy of a page that nobody can put anything else into: it loads nothing,
   * and of styles and scripts only these count.
   */
  public static String policy(String[] styles, String[] scripts) {
    return "default-src 'none'; img-src data:; style-src %s; script-src %s"
        .formatted(hashes(styles), hashes(scripts));
  }

  private static String hashes(String[] texts) {
    return Arrays.stream(texts).map(Html::hash).collect(Collectors.joining(" "));
  }

  private static String hash(String text) {
    byte[] digest = HexFormat.of().parseHex(Sha256.of(text));
    return "'sha256-" + Base64.getEncoder().encodeToString(digest) + "'";
  }
}
