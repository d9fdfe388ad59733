package dreambooth4j.config.imports;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.toml.TomlMapper;
import dreambooth4j.JsonFault;
import dreambooth4j.Problem;
import java.nio.file.Path;

/** Reads TOML by Jackson's reader of it. */
final class TomlFile {
  private TomlFile() {}

  /**
   * A file's content.
   *
   * @throws Problem if it is no TOML
   */
  static JsonNode parse(Path file, String text) {
    try {
      return new TomlMapper().readTree(text);
    } catch (JsonProcessingException e) {
      int line = e.getLocation() == null ? 1 : e.getLocation().getLineNr();
      throw new Problem(
          Problem.Kind.USAGE,
          "%s:%d: no valid TOML: %s".formatted(file, line, JsonFault.why(e)),
          e);
    }
  }
}
