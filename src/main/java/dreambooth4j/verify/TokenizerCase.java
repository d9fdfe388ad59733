package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.Problem;
import dreambooth4j.model.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Texts and the token numbers they must give: a JSON list of {"text", "input_ids"}. */
final class TokenizerCase {
  private TokenizerCase() {}

  static List<Check> run(Tokenizer tokenizer, Path file, JsonNode rows) {
    List<Check> checks = new ArrayList<>();
    for (JsonNode row : rows) {
      String text = row.path("text").asText();
      JsonNode theirs = row.path("input_ids");
      if (!row.path("text").isTextual() || !theirs.isArray()) {
        throw Problem.data(file + ": not understood: a row has no text or no input_ids");
      }
      checks.add(
          new Check(
              "\"" + shown(text) + "\"",
              "ids that differ",
              differing(tokenizer.encode(text), theirs),
              0));
    }
    return checks;
  }

  private static int differing(long[] ours, JsonNode theirs) {
    int differing = Math.abs(ours.length - theirs.size());
    for (int i = 0; i < Math.min(ours.length, theirs.size()); i++) {
      if (ours[i] != theirs.get(i).asLong()) {
        differing++;
      }
    }
    return differing;
  }

  private static String shown(String text) {
    return text.length() <= 30 ? text : text.substring(0, 30) + "…";
  }
}
