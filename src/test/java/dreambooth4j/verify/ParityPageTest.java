package dreambooth4j.verify;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** docs/parity.md has every recorded case, with its limit and the error that was found. */
class ParityPageTest {
  private static final Path PAGE = Path.of("docs/parity.md");
  private static final Path GOLDENS = Path.of("src/test/resources/goldens");
  private static final String BEGIN = "<!-- cases: written by ParityPageTest -->\n";
  private static final String HEAD =
      """
      | case | keys or settings | computed by | limit | worst error | in |
      |---|---|---|---|---|---|
      """;

  private static final String END = "<!-- end of cases -->\n";

  /** What differs from one machine to the next. */
  private static final String ERROR = "\\d\\.\\de[-+]\\d\\d";

  @Test
  void shouldHaveEveryCaseWithItsLimit() throws IOException {
    String page = Files.readString(PAGE);
    int from = page.indexOf(BEGIN) + BEGIN.length();
    int to = page.indexOf(END);
    String cases = cases();
    if (System.getenv("DOCS_WRITE") != null) {
      Files.writeString(PAGE, page.substring(0, from) + cases + page.substring(to));
      return;
    }
    assertThat(withoutErrors(page.substring(from, to)))
        .as("run: DOCS_WRITE=1 ./mvnw test -Dtest=ParityPageTest")
        .isEqualTo(withoutErrors(cases));
  }

  private static String withoutErrors(String table) {
    return table
        .lines()
        .map(line -> line.replaceAll(ERROR + " \\| [^|]* \\|$", ""))
        .collect(Collectors.joining("\n"));
  }

  private static String cases() throws IOException {
    StringBuilder text = new StringBuilder();
    try (Verifier verifier = new Verifier(null)) {
      text.append("\n## Loss, noise and timesteps\n");
      table(text, verifier, "objectives");
      text.append("\n## Optimizers\n");
      table(text, verifier, "optimizers");
      text.append("\n## Textual inversion\n").append(HEAD);
      ofModels(text, "embeddings", "sd1", "sdxl");
      text.append("\n## Prompts whose padding is masked: text_encoder_use_attention_mask\n");
      ofModels(text.append(HEAD), "masked", "sd1", "sd2");
      text.append("\n## What changes with the step\n");
      text.append("| table | limit | worst error | |\n|---|---|---|---|\n");
      for (Check each : verifier.verify(GOLDENS.resolve("optimizers/schedules.json")).checks()) {
        assertThat(each.passes()).as(each.name()).isTrue();
        text.append("| %s | %s |  |\n".formatted(each.name(), numbers(each)));
      }
    }
    return text.toString();
  }

  private static void ofModels(StringBuilder text, String folder, String... models) {
    for (String each : models) {
      ModelFolder model = ModelFolder.open(GOLDENS.resolve(each).resolve("model"), null);
      try (Verifier verifier = new Verifier(model)) {
        row(text, verifier, GOLDENS.resolve(folder).resolve(each + ".safetensors"));
      }
    }
  }

  private static void table(StringBuilder text, Verifier verifier, String folder)
      throws IOException {
    text.append(HEAD);
    List<Path> files;
    try (Stream<Path> all = Files.list(GOLDENS.resolve(folder))) {
      files = all.filter(file -> file.toString().endsWith(".safetensors")).sorted().toList();
    }
    files.forEach(file -> row(text, verifier, file));
  }

  private static void row(StringBuilder text, Verifier verifier, Path file) {
    Verifier.Report report = verifier.verify(file);
    assertThat(report.passes()).as(file.toString()).isTrue();
    Check worst = report.worst();
    try (Golden golden = Golden.open(file)) {
      text.append(
          "| `%s` | %s | %s | %s | `%s` |\n"
              .formatted(
                  file.getFileName().toString().replace(".safetensors", ""),
                  keys(golden),
                  source(golden),
                  numbers(worst),
                  worst.name()));
    }
  }

  private static String source(Golden golden) {
    String source = golden.settings().path("source").asText();
    return source.startsWith("trainers.md")
        ? "derived from the others; none of them does it"
        : source.replace("|", "\\|");
  }

  private static String numbers(Check check) {
    return String.format(Locale.ROOT, "%.0e | %.1e", check.limit(), check.error());
  }

  /** The configuration of an objective, or the settings of another case. */
  private static String keys(Golden golden) {
    Map<String, String> keys = new TreeMap<>();
    if (golden.settings().path("component").asText().equals("objective")) {
      keys.putAll(ObjectiveCase.keys(golden));
      keys.remove("instance_data_dir");
    } else {
      golden.settings().properties().stream()
          .filter(each -> each.getValue().isValueNode() && !each.getValue().isTextual())
          .forEach(each -> keys.put(each.getKey(), each.getValue().asText()));
      keys.remove("steps");
    }
    List<String> words = new ArrayList<>();
    keys.forEach((key, value) -> words.add("`%s=%s`".formatted(key, value)));
    return String.join(" ", words);
  }
}
