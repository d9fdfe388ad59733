package dreambooth4j.bench;

import static dreambooth4j.bench.Section.origin;
import static dreambooth4j.bench.Section.percent;
import static dreambooth4j.bench.Section.shown;

import com.samskivert.mustache.Mustache;
import dreambooth4j.bench.Results.Facts;
import dreambooth4j.bench.Results.Measured;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * Turns all of bench/results into a page and PNG pictures, in {@code bench/results/report}: a part
 * for each machine, since times of two machines say nothing about each other.
 */
public final class Report {
  private static final Path RESULTS = Path.of("bench", "results");

  private Report() {}

  /** No arguments. */
  public static void main(String[] args) throws IOException {
    Path folder = Files.createDirectories(RESULTS.resolve("report"));
    List<Map<String, Object>> machines = new ArrayList<>();
    for (Results each : Results.all(RESULTS)) {
      machines.add(machine(each, new Charts(folder, each.machine())));
    }
    Path page = folder.resolve("index.html");
    try (Reader template =
        new InputStreamReader(
            Objects.requireNonNull(Report.class.getResourceAsStream("report.mustache")),
            StandardCharsets.UTF_8)) {
      Files.writeString(
          page,
          Mustache.compiler()
              .emptyStringIsFalse(true)
              .compile(template)
              .execute(Map.of("machines", machines)));
    }
    System.out.println(page);
  }

  /** One machine's part, for the template. */
  private static Map<String, Object> machine(Results results, Charts charts) throws IOException {
    Facts facts = results.facts().get(results.facts().size() - 1);
    List<Map<String, String>> sidecars = new ArrayList<>();
    for (Facts each : results.facts()) {
      sidecars.add(Map.of("name", each.name(), "facts", each.json().toPrettyString()));
    }
    List<Map<String, Object>> sections = new ArrayList<>();
    for (Section each : sections(results, charts)) {
      sections.add(section(each));
    }
    return Map.of(
        "name", results.machine(),
        "title", title(facts),
        "text", libraries(facts),
        "sections", sections,
        "sidecars", sidecars);
  }

  private static String title(Facts facts) {
    String title = "%s, %s processors".formatted(facts.of("CPU"), facts.of("processors"));
    return facts.of("GPU").contains(",") ? title + ", " + facts.of("GPU") : title;
  }

  private static String libraries(Facts facts) {
    return "Memory %s; %s; libtorch %s with kernels for %s; %s; Java %s."
        .formatted(
            facts.of("memory").replaceAll(", (free|available).*", ""),
            facts.of("CPU features"),
            facts.of("libtorch").replaceAll(" \\(.*", ""),
            facts.of("CPU kernels"),
            facts.of("BLAS"),
            facts.of("Java").replaceAll(",.*", ""));
  }

  private static List<Section> sections(Results results, Charts charts) throws IOException {
    List<Section> sections = new ArrayList<>();
    if (!results.comparisons().isEmpty()) {
      sections.add(StepSections.comparisons(charts, results.comparisons()));
      sections.add(StepSections.memory(charts, results.comparisons()));
    }
    Map<String, List<Measured>> families = new TreeMap<>();
    for (Measured each : results.measured()) {
      families.computeIfAbsent(each.family(), family -> new ArrayList<>()).add(each);
    }
    for (var each : families.entrySet()) {
      List<Measured> all = each.getValue();
      sections.add(
          switch (each.getKey()) {
            case "Op" -> OpSections.roofline(charts, all);
            case "Step" -> StepSections.cost(charts, all);
            case "Rates" -> OpSections.rates(all);
            case "Linear" -> OpSections.linear(all);
            case "ClassImage" -> classImages(all);
            default -> others(each.getKey(), all);
          });
    }
    return sections;
  }

  private static Section classImages(List<Measured> all) {
    List<List<String>> rows = new ArrayList<>();
    for (Measured each : all) {
      double aPicture = each.score() / each.number("count");
      rows.add(
          List.of(
              each.param("model"),
              each.param("side"),
              each.param("steps"),
              each.param("count"),
              shown(each.score()),
              percent(each.spread()),
              shown(aPicture),
              percent(aPicture / all.get(0).score() * all.get(0).number("count")),
              origin(each.facts())));
    }
    return new Section(
        "Class images",
        "Prompt, sampler with guidance, VAE: a batch of pictures by a base model.",
        Map.of(),
        List.of(
            "model",
            "px",
            "sampler steps",
            "pictures together",
            "ms",
            "±",
            "ms a picture",
            "of that of the first row",
            "commit, day"),
        rows);
  }

  private static Section others(String family, List<Measured> all) {
    List<List<String>> rows = new ArrayList<>();
    for (Measured each : all) {
      rows.add(
          List.of(
              each.method(),
              each.params(),
              shown(each.score()) + " " + each.unit(),
              percent(each.spread()),
              origin(each.facts())));
    }
    return new Section(
        family, "", Map.of(), List.of("what", "of", "median", "±", "commit, day"), rows);
  }

  /** Numbers of a table stand to the right. */
  private static Map<String, Object> section(Section section) {
    List<List<Map<String, String>>> rows = section.rows().stream().map(Report::cells).toList();
    List<Map<String, String>> head = new ArrayList<>();
    for (int i = 0; i < section.head().size(); i++) {
      boolean number = !section.rows().isEmpty() && isNumber(section.rows().get(0).get(i));
      head.add(cell(section.head().get(i), number));
    }
    List<Map<String, String>> pictures = new ArrayList<>();
    section.pictures().forEach((name, shows) -> pictures.add(Map.of("name", name, "shows", shows)));
    return Map.of(
        "title", section.title(),
        "text", section.text(),
        "pictures", pictures,
        "head", head,
        "rows", rows);
  }

  private static List<Map<String, String>> cells(List<String> row) {
    return row.stream().map(text -> cell(text, isNumber(text))).toList();
  }

  private static Map<String, String> cell(String text, boolean number) {
    return Map.of("text", text, "kind", number ? "number" : "words");
  }

  private static boolean isNumber(String cell) {
    return cell.matches("-|[0-9.]+([–-][0-9.]+)?( %| [a-z/]+)?");
  }
}
