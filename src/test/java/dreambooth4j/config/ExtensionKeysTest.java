package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.config.ConfigReader.Reading;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every key that sd_dreambooth_extension writes into a db_config.json has the fate that
 * docs/extension-keys.md says: each is set to another value than the extension's default.
 */
class ExtensionKeysTest {
  private static final Path PAGE = Path.of("docs/extension-keys.md");
  private static final Path FILE = Path.of("src/test/resources/config/db_config.json");
  private static final Path OTHER_VALUES = Path.of("src/test/resources/config/other_values.json");
  private static final String BEGIN = "<!-- keys: written by ExtensionKeysTest -->\n";
  private static final JsonMapper JSON = new JsonMapper();
  private static final Map<String, String> OF_THE_FILE =
      Map.of(
          "model_name", "Names the output folder: output/<model_name> beside the file.",
          "concepts_list", "The concepts, a map of the keys below each.",
          "concepts_path", "A file with that list, or the list itself, if use_concepts says so.",
          "use_concepts", "Take the concepts from concepts_path.");

  /** What becomes of a key, and why or what to do about it. */
  private record Fate(String word, String reason) {}

  @TempDir Path folder;

  private static ObjectNode read(Path file) throws IOException {
    return (ObjectNode) JSON.readTree(file.toFile());
  }

  private static List<String> names(JsonNode node) {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  private static JsonNode concept(JsonNode config) {
    return config.path("concepts_list").path(0);
  }

  private static Optional<Key<?, ?>> key(String name) {
    return Keys.all().stream()
        .filter(key -> key.name().equals(name) || key.aliases().contains(name))
        .findFirst();
  }

  private static String table(JsonNode node) {
    StringBuilder text = new StringBuilder("| key | | |\n|---|---|---|\n");
    for (String name : names(node)) {
      Fate fate =
          key(name)
              .map(key -> new Fate("works", key.help()))
              .or(() -> Optional.ofNullable(OF_THE_FILE.get(name)).map(t -> new Fate("works", t)))
              .orElseGet(() -> foreign(name));
      text.append("| `%s` | %s | %s |\n".formatted(name, fate.word(), html(fate.reason())));
    }
    return text.toString();
  }

  private static Fate foreign(String name) {
    ForeignKey key = ForeignKeys.get(name, true);
    return switch (key.kind()) {
      case IGNORED -> new Fate("no effect", key.reason());
      case NOTED -> new Fate("noted", key.reason());
      case REFUSED -> new Fate("refused", key.reason());
    };
  }

  private static String html(String text) {
    return text.replace("|", "\\|").replace("<", "&lt;");
  }

  @Test
  void shouldListEveryKey() throws IOException {
    ObjectNode config = read(FILE);
    String tables = "\n" + table(config) + "\n## Of a concept\n" + table(concept(config));
    String page = Files.readString(PAGE);
    int from = page.indexOf(BEGIN) + BEGIN.length();
    if (System.getenv("DOCS_WRITE") != null) {
      Files.writeString(PAGE, page.substring(0, from) + tables);
      return;
    }
    assertThat(page.substring(from))
        .as("run: DOCS_WRITE=1 ./mvnw test -Dtest=ExtensionKeysTest")
        .isEqualTo(tables);
    assertThat(names(config)).hasSize(106);
    assertThat(names(concept(config))).hasSize(18);
  }

  static Stream<String> keys() throws IOException {
    ObjectNode config = read(FILE);
    return Stream.concat(names(config).stream(), names(concept(config)).stream());
  }

  /** What the page says of each key. */
  private static Map<String, String> documented() throws IOException {
    return Files.readString(PAGE)
        .lines()
        .filter(line -> line.startsWith("| `"))
        .map(line -> line.split("\\s*\\|\\s*"))
        .collect(
            Collectors.toMap(
                cells -> cells[1].replace("`", ""),
                cells -> cells[2],
                (a, b) -> a,
                LinkedHashMap::new));
  }

  @ParameterizedTest
  @MethodSource("keys")
  void shouldDoWithAnotherValueWhatThePageSays(String name) throws IOException {
    ObjectNode changed = read(FILE);
    JsonNode value = read(OTHER_VALUES).path(name);
    assertThat(value.isMissingNode()).as("other_values.json lacks " + name).isFalse();
    Files.writeString(
        folder.resolve("concepts.json"), "[{\"instance_data_dir\": \"/data/other\"}]");
    if (OF_THE_FILE.containsKey(name)) {
      // Each of the three needs the others.
      changed.put("concepts_path", "concepts.json");
      changed.put("use_concepts", name.equals("concepts_path"));
    }
    if (name.startsWith("lora_")) {
      changed.put("use_lora", true);
    }
    if (name.equals("use_ema")) {
      changed.put("infer_ema", true); // without it nothing is done with the average
    }
    Reading before = read(changed);
    (changed.has(name) ? changed : (ObjectNode) concept(changed)).set(name, value);
    assertThat(fate(name, before, changed)).isEqualTo(documented().get(name));
  }

  private Reading read(ObjectNode config) throws IOException {
    Path file = folder.resolve("db_config.json");
    JSON.writeValue(file.toFile(), config);
    return ConfigReader.read(file, Map.of());
  }

  private String fate(String name, Reading before, ObjectNode changed) throws IOException {
    Reading after;
    try {
      after = read(changed);
    } catch (Problem problem) {
      assertThat(problem).hasMessageNotContaining("\n");
      assertThat(problem).hasMessageContaining(": " + name + ": ").hasMessageContaining("not done");
      return "refused";
    }
    if (!after.config().equals(before.config())) {
      return "works";
    }
    boolean noted =
        Stream.of(before, after)
            .flatMap(reading -> reading.remarks().stream())
            .anyMatch(remark -> remark.startsWith(name + ": "));
    assertThat(noted || after.noEffect().contains(name)).as(name + " is mentioned").isTrue();
    return noted ? "noted" : "no effect";
  }

  @ParameterizedTest
  @CsvSource({
    "constant, constant_with_warmup",
    "linear, linear_with_warmup",
    "cosine, cosine_with_restarts"
  })
  void shouldRefuseSchedulesThatTheExtensionCallsSo(String name, String instead)
      throws IOException {
    ObjectNode config = read(FILE).put("lr_scheduler", name);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> read(config))
        .withMessageContaining("lr_scheduler: " + name)
        .withMessageContaining("say " + instead);
    assertThat(
            read(config.put("lr_scheduler", instead)).config().optimizer().schedule().scheduler())
        .hasToString(instead.replace("linear_with_warmup", "linear"));
  }

  @Test
  void shouldTakeTheListOfConceptsAsATextToo() throws IOException {
    ObjectNode config = read(FILE).put("use_concepts", true);
    config.put(
        "concepts_path", "[{\"instance_data_dir\": \"a\"},\n {\"instance_data_dir\": \"\"}]");
    config.putArray("concepts_list");
    assertThat(read(config).config().concepts())
        .extracting(ConceptConfig::instanceDataDir)
        .containsExactly(folder.resolve("a"));
  }
}
