package dreambooth4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.bench.ExperimentPlan.Run;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run that is trained again is compared with what is kept of it. */
class ExperimentResultsTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Run RUN = new Run("santa", "none", 1);

  private static final String CLASS =
      """
      {"prompt": "man", "kind": "class", "captions": 8, "bleed": {"value": 0.81234567, "half": 0.1},
       "towards": {"value": 0.7, "half": 0.1}, "div": {"before": 0.5, "after": 0.25}}\
      """;
  private static final String RED =
      """
      {"prompt": "red", "kind": "frequent", "captions": 2, "bleed": {"value": 1, "half": 0},
       "towards": {"value": 0.3, "half": 0.1}}\
      """;
  private static final String BLUE =
      """
      {"prompt": "blue", "kind": "frequent", "captions": 2, "bleed": {"value": 0.5, "half": 0.1},
       "towards": {"value": 1e-7, "half": 0.1}}\
      """;

  @TempDir Path folder;

  private static ObjectNode result(String... prompts) throws IOException {
    JsonNode report =
        JSON.readTree(
            "{\"pres\": {\"before\": 0.4, \"after\": 0.5}, \"prompts\": %s}"
                .formatted(Arrays.asList(prompts)));
    ObjectNode result = JSON.createObjectNode();
    result
        .putArray("points")
        .addObject()
        .put("step", 50)
        .put("instance_loss", 0.25)
        .set("bleed", ExperimentResults.compact(report));
    return result;
  }

  private ExperimentResults kept(ObjectNode result) throws IOException {
    Path file = folder.resolve("results.jsonl.gz");
    ExperimentResults.read(file).add(RUN, result);
    return ExperimentResults.read(file);
  }

  @Test
  void shouldFindTheSameNumbersInAnotherOrderOfPrompts() throws IOException {
    ExperimentResults kept = kept(result(CLASS, RED, BLUE));

    assertThat(kept.apart(RUN, result(BLUE, CLASS, RED))).isZero();
  }

  /** Files of earlier versions have their prompts as the report had them. */
  @Test
  void shouldFindTheSameNumbersInAFileOfAnotherOrder() throws IOException {
    ObjectNode first = result(RED);
    first.withArray("/points/0/bleed/prompts").addAll(prompts(result(CLASS)));
    first.withArray("/points/0/bleed/prompts").addAll(prompts(result(BLUE)));
    Path file = folder.resolve("results.jsonl.gz");
    try (Writer out =
        new OutputStreamWriter(
            new GZIPOutputStream(Files.newOutputStream(file)), StandardCharsets.UTF_8)) {
      out.write(JSON.createObjectNode().put("run", RUN.toString()).setAll(first) + "\n");
    }

    assertThat(ExperimentResults.read(file).apart(RUN, result(BLUE, CLASS, RED))).isZero();
  }

  private static ArrayNode prompts(ObjectNode result) {
    return result.withArray("/points/0/bleed/prompts");
  }

  @Test
  void shouldSayHowFarApartNumbersAre() throws IOException {
    ExperimentResults kept = kept(result(CLASS, RED, BLUE));

    assertThat(kept.apart(RUN, result(CLASS, RED.replace("0.3", "0.302"), BLUE)))
        .isEqualTo(0.002, within(1e-12));
    assertThat(kept.apart(RUN, result(CLASS.replace("0.25", "0.2"), RED, BLUE)))
        .isEqualTo(0.05, within(1e-12));
  }

  @Test
  void shouldFindOtherPromptsOrMeasures() throws IOException {
    ExperimentResults kept = kept(result(CLASS, RED, BLUE));

    assertThat(kept.apart(RUN, result(CLASS, RED))).isInfinite();
    assertThat(kept.apart(RUN, result(CLASS, RED.replace("red", "pink"), BLUE))).isInfinite();
    assertThat(kept.apart(RUN, result(CLASS, RED.replace("towards", "others"), BLUE))).isInfinite();
  }
}
