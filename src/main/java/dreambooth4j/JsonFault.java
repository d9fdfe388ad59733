package dreambooth4j;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.regex.Pattern;

/** What is wrong with a text that Jackson reads: JSON, or TOML. */
public final class JsonFault {
  private static final Pattern SOURCE =
      Pattern.compile("\\[Source: [^]]*?(line: \\d+, column: \\d+)]");

  private JsonFault() {}

  /** In words, without where, and without the library's notes on its source. */
  public static String why(JsonProcessingException e) {
    return SOURCE.matcher(e.getOriginalMessage()).replaceAll("$1");
  }
}
