package dreambooth4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.engine.Platform.Fact;
import dreambooth4j.verify.Doctor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/** What a result was measured on: doctor's facts, the commit, the hour. */
final class Machine {
  private Machine() {}

  static void write(Path file, ObjectNode facts) throws IOException {
    new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), facts);
  }

  static ObjectNode facts() {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("commit", commit());
    json.put("when", Instant.now().truncatedTo(ChronoUnit.MINUTES).toString());
    json.put("processors", Runtime.getRuntime().availableProcessors());
    for (Fact each : Doctor.facts()) {
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
