package dreambooth4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.engine.Platform.Fact;
import dreambooth4j.verify.Doctor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;

/** What a result was measured on: doctor's facts, the commit, the hour. */
final class Machine {
  /** Words of a processor's name that tell nothing. */
  private static final String NOISE =
      "(?i)\\(r\\)|\\(tm\\)|\\b(processor|cpu|gpu|@|[0-9.]+ghz|[0-9]+-core)\\b";

  private Machine() {}

  /**
   * Where this machine's results lie, so that no other's overwrite them: {@code bench/results/} and
   * its processor, their number and its GPU, such as {@code amd-epyc-2}.
   */
  static Path results() throws IOException {
    ObjectNode facts = facts();
    String words = facts.path("CPU").asText() + " " + facts.path("processors").asInt();
    String gpu = facts.path("GPU").asText();
    if (gpu.contains(",")) { // name, memory, driver
      words += " " + gpu.substring(0, gpu.indexOf(','));
    }
    String name =
        words
            .replaceAll(NOISE, " ")
            .strip()
            .replaceAll("[^A-Za-z0-9]+", "-")
            .toLowerCase(Locale.ROOT);
    return Files.createDirectories(Path.of("bench", "results", name));
  }

  static void write(Path file, ObjectNode facts) throws IOException {
    new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), facts);
  }

  static ObjectNode facts() {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("commit", commit());
    json.put("when", Instant.now().truncatedTo(ChronoUnit.MINUTES).toString());
    json.put("processors", Runtime.getRuntime().availableProcessors());
    for (Fact each : Doctor.facts(true)) {
      if (!each.name().equals("libraries") && !each.name().equals("natives")) { // paths
        json.put(each.name(), each.value());
      }
    }
    return json;
  }

  /** Of the working folder; with a + where files differ from it. */
  private static String commit() {
    try {
      Process git = new ProcessBuilder("git", "describe", "--always", "--dirty=+").start();
      return new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      return "unknown";
    }
  }
}
