package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.DoubleNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** JMH's results as they are kept: its own format, a line each, a tenth of its size. */
final class JmhJson {
  private static final MathContext DIGITS = new MathContext(6);

  private JmhJson() {}

  /**
   * Rewrites a file without percentiles, which follow from the raw data, and without the JVM's path
   * and options; with six digits of each number.
   */
  static void shorten(Path file) throws IOException {
    ObjectMapper json = new ObjectMapper();
    List<String> lines = new ArrayList<>();
    for (JsonNode each : json.readTree(file.toFile())) {
      ((ObjectNode) each).remove(List.of("jvm", "jvmArgs"));
      lines.add(json.writeValueAsString(shortened(each)));
    }
    Files.writeString(file, "[\n" + String.join(",\n", lines) + "\n]\n");
  }

  private static JsonNode shortened(JsonNode node) {
    if (node instanceof ObjectNode object) {
      object.remove("scorePercentiles");
      for (Map.Entry<String, JsonNode> each : object.properties()) {
        each.setValue(shortened(each.getValue()));
      }
    } else if (node instanceof ArrayNode array) {
      for (int i = 0; i < array.size(); i++) {
        array.set(i, shortened(array.get(i)));
      }
    } else if (node.isDouble() && Double.isFinite(node.doubleValue())) {
      return DoubleNode.valueOf(new BigDecimal(node.doubleValue()).round(DIGITS).doubleValue());
    }
    return node;
  }
}
