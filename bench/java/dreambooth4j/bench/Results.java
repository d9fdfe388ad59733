package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * What lies in one machine's folder.
 *
 * @param machine the folder's name
 * @param comparisons {@code compare-*.json}
 * @param measured all that JMH or something that writes its format has measured
 * @param facts of the machine, by the result's name
 */
record Results(
    String machine, List<Comparison> comparisons, List<Measured> measured, List<Facts> facts) {

  /** A sidecar, or what stands in a comparison under "machine". */
  record Facts(String name, JsonNode json) {
    String of(String key) {
      return json.path(key).asText();
    }
  }

  /** Ours and diffusers', in turn. */
  record Comparison(String name, JsonNode json) {
    /** How many times as fast we are, of each round; ascending. */
    double[] speedups() {
      return rounds("theirSeconds", "ourSeconds");
    }

    /** The share of its memory that we need, of each round; ascending. */
    double[] memory() {
      return rounds("ourPeakBytes", "theirPeakBytes");
    }

    private double[] rounds(String numerator, String denominator) {
      List<Double> ratios = new ArrayList<>();
      for (JsonNode round : json.get("rounds")) {
        if (!round.has("theirSeconds")) {
          continue; // the baseline failed
        }
        ratios.add(round.get(numerator).asDouble() / round.get(denominator).asDouble());
      }
      return ratios.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    }

    String text(String key) {
      return json.path(key).asText();
    }

    Facts facts() {
      return new Facts("compare-" + name, json.path("machine"));
    }
  }

  /** One bench with its parameters, as JMH writes it. */
  record Measured(JsonNode json, Facts facts) {
    /** The class without "Benchmark", such as {@code Step}. */
    String family() {
      String[] parts = json.get("benchmark").asText().split("\\.");
      return parts[parts.length - 2].replace("Benchmark", "");
    }

    String method() {
      return json.get("benchmark").asText().replaceAll(".*\\.", "");
    }

    String param(String name) {
      return json.at("/params/" + name).asText();
    }

    int number(String name) {
      return Integer.parseInt(param(name));
    }

    /** All parameters, in words. */
    String params() {
      List<String> words = new ArrayList<>();
      json.path("params")
          .properties()
          .forEach(each -> words.add(each.getKey() + " " + each.getValue().asText()));
      return String.join(", ", words);
    }

    String unit() {
      return json.at("/primaryMetric/scoreUnit").asText();
    }

    /** The score of each iteration, ascending; where they are not kept, the ends of the error. */
    double[] scores() {
      List<Double> all = new ArrayList<>();
      for (JsonNode fork : json.at("/primaryMetric/rawData")) {
        fork.forEach(score -> all.add(score.asDouble()));
      }
      if (all.isEmpty()) {
        double score = json.at("/primaryMetric/score").asDouble();
        double error = json.at("/primaryMetric/scoreError").asDouble();
        all.addAll(List.of(score - error, score, score + error));
      }
      return all.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    }

    /** The median score. */
    double score() {
      return median(scores());
    }

    /** Half of what lies between the least and the greatest score, as a share of the median. */
    double spread() {
      double[] scores = scores();
      return (scores[scores.length - 1] - scores[0]) / 2 / median(scores);
    }

    /** The mean of a secondary metric whose name ends so; NaN where there is none. */
    double secondary(String name) {
      for (var each : json.path("secondaryMetrics").properties()) {
        if (each.getKey().endsWith(name)) {
          return each.getValue().get("score").asDouble();
        }
      }
      return Double.NaN;
    }
  }

  /** Each folder's that holds any. */
  static List<Results> all(Path root) throws IOException {
    List<Results> all = new ArrayList<>();
    for (Path folder : list(root)) {
      if (Files.isDirectory(folder) && list(folder).stream().anyMatch(Results::isJson)) {
        all.add(of(folder));
      }
    }
    return all;
  }

  private static Results of(Path folder) throws IOException {
    ObjectMapper json = new ObjectMapper();
    List<Comparison> comparisons = new ArrayList<>();
    List<Measured> measured = new ArrayList<>();
    List<Facts> facts = new ArrayList<>();
    for (Path file : list(folder)) {
      String name = file.getFileName().toString().replaceAll("\\.json$", "");
      if (!isJson(file) || name.endsWith(".machine")) {
        continue;
      }
      JsonNode content = json.readTree(file.toFile());
      if (content.has("rounds")) {
        Comparison comparison = new Comparison(name.replaceFirst("^compare-", ""), content);
        if (comparison.speedups().length > 0) {
          comparisons.add(comparison);
        }
        facts.add(comparison.facts());
      } else if (content.isArray()) {
        Path sidecar = folder.resolve(name + ".machine.json");
        Facts its =
            new Facts(
                name,
                Files.exists(sidecar) ? json.readTree(sidecar.toFile()) : json.createObjectNode());
        facts.add(its);
        content.forEach(each -> measured.add(new Measured(each, its)));
      }
    }
    return new Results(folder.getFileName().toString(), comparisons, measured, facts);
  }

  private static boolean isJson(Path file) {
    return file.toString().endsWith(".json");
  }

  private static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }

  /** Of ascending values. */
  static double median(double[] ascending) {
    int middle = ascending.length / 2;
    return ascending.length % 2 == 1
        ? ascending[middle]
        : Arrays.stream(ascending, middle - 1, middle + 1).sum() / 2;
  }
}
