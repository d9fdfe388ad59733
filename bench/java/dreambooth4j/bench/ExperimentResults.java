package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.bench.ExperimentPlan.Run;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

/** Raw results of an experiment, a line of JSON for each run, kept in one compressed file. */
final class ExperimentResults {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final Map<String, JsonNode> byRun = new TreeMap<>();

  private ExperimentResults(Path file) {
    this.file = file;
  }

  /** Those that are there; none if there is no such file. */
  static ExperimentResults read(Path file) throws IOException {
    ExperimentResults results = new ExperimentResults(file);
    if (Files.exists(file)) {
      try (BufferedReader lines =
          new BufferedReader(
              new InputStreamReader(
                  new GZIPInputStream(Files.newInputStream(file)), StandardCharsets.UTF_8))) {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          ObjectNode json = (ObjectNode) JSON.readTree(line);
          json.path("points").forEach(point -> order(point.path("bleed")));
          results.byRun.put(json.remove("run").asText(), json);
        }
      }
    }
    return results;
  }

  boolean has(Run run) {
    return byRun.containsKey(run.toString());
  }

  /** What a run gave; it must be there. */
  JsonNode of(Run run) {
    return Objects.requireNonNull(byRun.get(run.toString()), run.toString());
  }

  /**
   * How far the numbers of a run that was trained again are from those that are kept of it: the
   * largest difference, 0 if they are the same, infinite if they are not of the same prompts.
   */
  double apart(Run run, JsonNode result) throws IOException {
    return apart(JSON.readTree(result.toString()), of(run)); // as it would be read from the file
  }

  private static double apart(JsonNode one, JsonNode other) {
    if (one.isNumber() && other.isNumber()) {
      return Math.abs(one.asDouble() - other.asDouble());
    }
    if (one.isObject() && names(one).equals(names(other))) {
      return names(one).stream()
          .mapToDouble(name -> apart(one.path(name), other.path(name)))
          .max()
          .orElse(0);
    }
    if (one.isArray() && one.size() == other.size()) {
      return IntStream.range(0, one.size())
          .mapToDouble(at -> apart(one.path(at), other.path(at)))
          .max()
          .orElse(0);
    }
    return one.equals(other) ? 0 : Double.POSITIVE_INFINITY;
  }

  private static Set<String> names(JsonNode object) {
    return object.properties().stream().map(Map.Entry::getKey).collect(Collectors.toSet());
  }

  /** Keeps a run's result: the file is the old one or the new one, whatever happens. */
  void add(Run run, JsonNode result) throws IOException {
    byRun.put(run.toString(), result);
    Path part = file.resolveSibling(file.getFileName() + ".part");
    try (Writer out =
        new OutputStreamWriter(
            new GZIPOutputStream(Files.newOutputStream(part)), StandardCharsets.UTF_8)) {
      for (var each : byRun.entrySet()) {
        ObjectNode line = JSON.createObjectNode().put("run", each.getKey());
        line.setAll((ObjectNode) each.getValue());
        out.write(line + "\n");
      }
    }
    Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /**
   * What a bleed report says, its values without their intervals over noises, to four digits. Its
   * prompts come by kind and name: a report has them in another order when a number changes.
   */
  static ObjectNode compact(JsonNode bleed) {
    ObjectNode compact = JSON.createObjectNode();
    compact.set("pres", rounded(bleed.path("pres")));
    var prompts = compact.putArray("prompts");
    for (JsonNode each : bleed.path("prompts")) {
      ObjectNode row = prompts.addObject();
      row.put("prompt", each.path("prompt").asText());
      row.put("kind", each.path("kind").asText());
      row.put("captions", each.path("captions").asInt());
      for (String name : new String[] {"bleed", "towards", "change", "pictures_towards"}) {
        if (each.has(name)) {
          row.set(name, rounded(each.get(name).path("value")));
        }
      }
      if (each.has("div")) {
        row.set("div", rounded(each.get("div")));
      }
    }
    order(compact);
    return compact;
  }

  /** Sorts the prompts of a compact bleed report in place, where there are any. */
  private static void order(JsonNode bleed) {
    if (bleed.path("prompts") instanceof ArrayNode prompts) {
      List<JsonNode> all = new ArrayList<>();
      prompts.forEach(all::add);
      all.sort(
          Comparator.comparing((JsonNode each) -> each.path("kind").asText())
              .thenComparing(each -> each.path("prompt").asText()));
      prompts.removeAll().addAll(all);
    }
  }

  private static JsonNode rounded(JsonNode node) {
    if (node.isNumber()) {
      return JSON.getNodeFactory().numberNode(digits(node.asDouble(), 4));
    }
    ObjectNode all = JSON.createObjectNode();
    node.properties().forEach(each -> all.set(each.getKey(), rounded(each.getValue())));
    return all;
  }

  /** A number to so many digits. */
  static double digits(double value, int digits) {
    return Double.isFinite(value)
        ? new BigDecimal(value).round(new MathContext(digits)).doubleValue()
        : value;
  }
}
