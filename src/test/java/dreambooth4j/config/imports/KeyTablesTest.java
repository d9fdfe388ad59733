package dreambooth4j.config.imports;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.config.Key;
import dreambooth4j.config.KeyTable;
import dreambooth4j.config.KeyTable.Entry;
import dreambooth4j.config.KeyTable.Fate;
import dreambooth4j.config.Keys;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The tables of other trainers' keys say what the import does, and docs/import.md shows them. */
class KeyTablesTest {
  private static final Path PAGE = Path.of("docs/import.md");
  private static final String BEGIN = "<!-- tables: written by KeyTablesTest -->\n";

  static Stream<Entry> entries() {
    return Stream.concat(
        KeyTable.KOHYA.entries().stream(), KeyTable.ONE_TRAINER.entries().stream());
  }

  @ParameterizedTest
  @MethodSource("entries")
  void shouldNameAKeyHereOrSayWhy(Entry entry) {
    boolean named = entry.fate() == Fate.KEPT || entry.fate() == Fate.CONVERTED;
    assertThat(named).isEqualTo(!entry.here().isEmpty());
    assertThat(entry.words().isEmpty()).isEqualTo(entry.fate() == Fate.KEPT);
    if (named && !entry.here().equals("concepts_list")) {
      assertThat(Keys.all()).extracting(Key::name).contains(entry.here());
    }
    if (entry.fate() == Fate.IMPOSSIBLE) { // what is not possible, and what to do instead
      assertThat(entry.words()).matches(".+: .+");
    }
  }

  @Test
  void shouldConvertEveryKeyThatATableSaysIsConverted() throws IOException {
    Path here = Path.of("");
    Draft draft = new Draft("test", KeyTable.KOHYA, here);
    KohyaImport kohya = new KohyaImport(draft, Map.of(), "", false);
    List<String> converted =
        KeyTable.KOHYA.entries().stream()
            .filter(entry -> entry.fate() == Fate.CONVERTED)
            .map(Entry::name)
            .toList();
    assertThat(converted).allSatisfy(name -> assertThat(kohya.converter(name)).isNotNull());
    OneTrainerImport oneTrainer =
        new OneTrainerImport(draft, new JsonMapper().readTree("{\"training_method\": \"LORA\"}"));
    assertThat(KeyTable.ONE_TRAINER.entries())
        .filteredOn(entry -> entry.fate() == Fate.CONVERTED)
        .extracting(Entry::name)
        .filteredOn(name -> !name.startsWith("concepts.") && !name.equals("samples"))
        .allSatisfy(name -> assertThat(oneTrainer.converter(name)).as(name).isNotNull());
  }

  @Test
  void shouldShowTheTables() throws IOException {
    String page = Files.readString(PAGE);
    int from = page.indexOf(BEGIN) + BEGIN.length();
    String tables =
        table("kohya's sd-scripts", KeyTable.KOHYA) + table("OneTrainer", KeyTable.ONE_TRAINER);
    if (System.getenv("DOCS_WRITE") != null) {
      Files.writeString(PAGE, page.substring(0, from) + tables);
      return;
    }
    assertThat(page.substring(from))
        .as("run: DOCS_WRITE=1 ./mvnw test -Dtest=KeyTablesTest")
        .isEqualTo(tables);
  }

  private static String table(String trainer, KeyTable table) {
    StringBuilder text = new StringBuilder("\n## Keys of " + trainer + "\n");
    text.append("| key there | | here |\n|---|---|---|\n");
    String last = "";
    for (Entry entry : table.entries()) {
      String row =
          " | %s | %s%s |\n"
              .formatted(
                  entry.fate(),
                  entry.here().isEmpty() ? "" : "`" + entry.here() + "`",
                  entry.words().isEmpty()
                      ? ""
                      : (entry.here().isEmpty() ? "" : ": ") + entry.words());
      String key = "`" + entry.name() + "`";
      if (row.equals(last)) { // keys of one fate stand in one row
        text.insert(text.length() - row.length(), " " + key);
      } else {
        text.append("| ").append(key).append(row);
      }
      last = row;
    }
    return text.toString();
  }
}
