package dreambooth4j.config.imports;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.JsonFault;
import dreambooth4j.Problem;
import java.nio.file.Path;

/** Reads TOML by Jackson's reader of it. */
final class TomlFile {
  /** By its name: no other part of the program needs this library to be built. */
  private static final String READER = "com.fasterxml.jackson.dataformat.toml.TomlFactory";

  private TomlFile() {}

  /**
   * A file's content.
   *
   * @throws Problem if it is no TOML
   */
  static JsonNode parse(Path file, String text) {
    try {
      return mapper().readTree(text);
    } catch (JsonProcessingException e) {
      int line = e.getLocation() == null ? 1 : e.getLocation().getLineNr();
      throw new Problem(
          Problem.Kind.USAGE,
          "%s:%d: no valid TOML: %s".formatted(file, line, JsonFault.why(e)),
          e);
    }
  }

  private static ObjectMapper mapper() {
    try {
      Class<?> reader = Class.forName(READER);
      return new ObjectMapper((JsonFactory) reader.getConstructor().newInstance());
    } catch (ReflectiveOperationException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "the library that reads TOML (jackson-dataformat-toml) is not among this program's:"
              + " install the program anew, or import the command line instead of the TOML file",
          e);
    }
  }
}
