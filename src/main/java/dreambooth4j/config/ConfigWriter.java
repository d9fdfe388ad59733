package dreambooth4j.config;

import dreambooth4j.RegularFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;

/** Writes a resolved configuration as YAML that reads back to the same records. */
public final class ConfigWriter {
  /** Its name in an output folder. */
  public static final String FILE = "config.yaml";

  /** Its first line. */
  public static final String HEADER =
      "# As it was resolved: defaults, then the file, then the flags.";

  private ConfigWriter() {}

  /** Whether a file is there that a run wrote, rather than somebody. */
  public static boolean wrote(Path file) {
    if (!Files.isRegularFile(file)) {
      return false;
    }
    byte[] header = HEADER.getBytes(StandardCharsets.UTF_8);
    try (InputStream in = RegularFile.stream(file)) {
      return Arrays.equals(in.readNBytes(header.length), header);
    } catch (IOException e) {
      return false;
    }
  }

  /** The configuration as YAML; every value stands in it, paths are absolute. */
  public static String toYaml(Config config) {
    Map<String, Object> top = map(Keys.valuesOf(config));
    top.put(
        "concepts_list",
        config.concepts().stream().map(concept -> map(Keys.valuesOf(concept))).toList());
    DumpSettings settings =
        DumpSettings.builder()
            .setDefaultFlowStyle(FlowStyle.BLOCK)
            .setWidth(Integer.MAX_VALUE)
            .setSplitLines(false)
            .build();
    return HEADER + "\n" + new Dump(settings).dumpToString(top);
  }

  private static Map<String, Object> map(Map<Key<?, ?>, Object> values) {
    Map<String, Object> map = new LinkedHashMap<>();
    values.forEach((key, value) -> map.put(key.name(), plain(value)));
    return map;
  }

  private static Object plain(Object value) {
    if (value instanceof List<?> list) {
      return list.stream().map(Object::toString).toList();
    }
    return value instanceof Path || value instanceof Enum<?> || value instanceof Crop
        ? value.toString()
        : value;
  }
}
