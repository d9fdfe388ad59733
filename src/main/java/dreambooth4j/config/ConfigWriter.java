package dreambooth4j.config;

import java.nio.file.Path;
import java.util.LinkedHashMap;
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
    return value instanceof Path || value instanceof Enum<?> || value instanceof Crop
        ? value.toString()
        : value;
  }
}
