package dreambooth4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.weights.JsonFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerTest {
  private static final Path GOLDENS = Path.of("src/test/resources/goldens");
  private static final Path BUNDLED = Path.of("weights/emoji32/tokenizer");

  @TempDir Path folder;

  private static void reproduces(Tokenizer tokenizer, Path golden) throws IOException {
    JsonNode rows = new ObjectMapper().readTree(golden.toFile());
    assertThat(rows.size()).isGreaterThan(10);
    for (JsonNode row : rows) {
      List<Long> expected = new ArrayList<>();
      row.path("input_ids").forEach(id -> expected.add(id.asLong()));
      String text = row.path("text").asText();
      assertThat(tokenizer.encode(text)).as(text).containsExactly(expected.toArray(Long[]::new));
    }
  }

  /** The folder's tokenizer as transformers 4 would have saved it. */
  private void split(Path tokenizer) throws IOException {
    ObjectNode root = JsonFile.read(tokenizer.resolve("tokenizer.json"));
    Files.writeString(folder.resolve("vocab.json"), root.path("model").path("vocab").toString());
    StringBuilder merges = new StringBuilder("#version: 0.2\n");
    for (JsonNode merge : root.path("model").path("merges")) {
      merges.append(merge.get(0).asText()).append(' ').append(merge.get(1).asText()).append('\n');
    }
    Files.writeString(folder.resolve("merges.txt"), merges);
    Files.copy(tokenizer.resolve("tokenizer_config.json"), folder.resolve("tokenizer_config.json"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "sd2"})
  void shouldReproduceTransformers(String family) throws IOException {
    Path golden = GOLDENS.resolve(family);
    try (Tokenizer tokenizer = Tokenizer.open(golden.resolve("model/tokenizer"))) {
      reproduces(tokenizer, golden.resolve("tokenizer.json"));
    }
  }

  @Test
  void shouldReadVocabularyAndMergesAlike() throws IOException {
    split(GOLDENS.resolve("sd1/model/tokenizer"));
    try (Tokenizer tokenizer = Tokenizer.open(folder)) {
      reproduces(tokenizer, GOLDENS.resolve("sd1/tokenizer.json"));
    }
  }

  @Test
  void shouldPadAsTheTokenizerItselfSays() throws IOException {
    split(BUNDLED);
    Files.writeString(
        folder.resolve("special_tokens_map.json"),
        "{\"bos_token\":{\"content\":\"<|startoftext|>\",\"normalized\":true},\"pad_token\":\"!\"}");
    // What transformers 5.23 gives for this folder: "!" is special wherever it stands.
    try (Tokenizer tokenizer = Tokenizer.open(folder)) {
      assertThat(tokenizer.padToken()).isZero();
      assertThat(tokenizer.encode("hello !!! wow!"))
          .startsWith(8190, 3306, 0, 0, 0, 2781, 0, 8191, 0)
          .endsWith(0, 0)
          .hasSize(77);
    }
    try (Tokenizer tokenizer = Tokenizer.open(BUNDLED)) {
      assertThat(tokenizer.encode("hello !!! wow!"))
          .startsWith(8190, 3306, 995, 2781, 256, 8191, 8191)
          .endsWith(8191);
    }
  }

  @Test
  void shouldCutWhatIsTooLongAndCountItWhole() {
    try (Tokenizer tokenizer = Tokenizer.open(BUNDLED)) {
      String text = "man ".repeat(100);
      assertThat(tokenizer.tokenCount(text)).isEqualTo(100);
      assertThat(tokenizer.encode(text)).hasSize(77).endsWith(tokenizer.endToken());
      assertThat(tokenizer.tokenCount("")).isZero();
      assertThat(tokenizer.length()).isEqualTo(77);
    }
  }

  @Test
  void shouldCutAndPadWhateverItsFileSaysOfThat() throws IOException {
    ObjectNode root = JsonFile.read(BUNDLED.resolve("tokenizer.json"));
    ObjectNode truncation = root.putObject("truncation").put("max_length", 5).put("stride", 0);
    truncation.put("strategy", "LongestFirst").put("direction", "Right");
    ObjectNode padding = root.putObject("padding").put("pad_id", 1).put("pad_type_id", 0);
    padding.put("direction", "Right").put("pad_token", "x").putNull("pad_to_multiple_of");
    padding.putObject("strategy").put("Fixed", 20);
    Files.writeString(folder.resolve("tokenizer.json"), root.toString());
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"model_max_length\": 12}");
    try (Tokenizer tokenizer = Tokenizer.open(folder)) {
      assertThat(tokenizer.tokenCount("man ".repeat(8))).isEqualTo(8);
      assertThat(tokenizer.encode("man ".repeat(8))).hasSize(12).endsWith(8191, 8191, 8191);
    }
  }

  @Test
  void shouldSayWhatIsMissing() throws IOException {
    assertThatThrownBy(() -> Tokenizer.open(folder))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected tokenizer.json, or vocab.json and merges.txt");
    Files.writeString(folder.resolve("tokenizer.json"), "{}");
    assertThatThrownBy(() -> Tokenizer.open(folder))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected the special token <|startoftext|>");
    Files.writeString(
        folder.resolve("tokenizer.json"),
        "{\"model\":{\"vocab\":{\"<|startoftext|>\":0,\"<|endoftext|>\":1}}}");
    assertThatThrownBy(() -> Tokenizer.open(folder))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("tokenizer.json: not a tokenizer");
    Files.writeString(folder.resolve("tokenizer.json"), "{nonsense");
    assertThatThrownBy(() -> Tokenizer.open(folder))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("not valid JSON");
  }
}
