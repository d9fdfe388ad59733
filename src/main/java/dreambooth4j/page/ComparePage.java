package dreambooth4j.page;

import com.samskivert.mustache.Template;
import dreambooth4j.Problem;
import dreambooth4j.weights.StagedFiles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Several runs on one page: a line each on the same axes, what of their configurations differs, and
 * their samples.
 */
public final class ComparePage {
  private static final Template TEMPLATE = Html.template("compare.html");

  /** A run has a colour of its own, and people tell few apart. */
  private static final int MOST_RUNS = 20;

  /** Where a run writes says nothing of what it does. */
  private static final Set<String> PLACES = Set.of("output_dir", "cache_dir", "class_data_dir");

  private final List<Run> runs;
  private final List<String> names;
  private final Pictures pictures = new Pictures.Inside();

  /** A run in the table at the head. */
  record Row(String name, String folder, String state, String steps, String precision) {}

  /** A key, or a prompt, and its value in each run. */
  record Difference(String key, List<String> values) {}

  private ComparePage(List<Run> runs, List<String> names) {
    this.runs = runs;
    this.names = names;
  }

  /**
   * Writes the comparison of the runs in these folders, whole or not at all.
   *
   * @throws Problem where one holds no run, two are the same, there are too many, or the file
   *     cannot be written
   */
  public static void write(List<Path> folders, Path file) {
    List<Path> places = folders.stream().map(each -> each.toAbsolutePath().normalize()).toList();
    for (int i = 0; i < places.size(); i++) {
      if (places.indexOf(places.get(i)) < i) {
        throw Problem.usage("%s is given twice: give each run once".formatted(folders.get(i)));
      }
    }
    if (places.size() > MOST_RUNS) {
      throw Problem.usage(
          "%d runs cannot be told apart on one page: give at most %d"
              .formatted(places.size(), MOST_RUNS));
    }
    List<Run> runs = places.stream().map(Run::read).toList();
    String html = TEMPLATE.execute(new ComparePage(runs, names(places)));
    StagedFiles.write(file, html.getBytes(StandardCharsets.UTF_8));
  }

  /** As few of the last parts of the paths as tell them apart. */
  private static List<String> names(List<Path> places) {
    int most = places.stream().mapToInt(Path::getNameCount).max().orElse(1);
    for (int parts = 1; parts < most; parts++) {
      List<String> names = new ArrayList<>();
      for (Path each : places) {
        int count = each.getNameCount();
        names.add(count == 0 ? "/" : each.subpath(Math.max(0, count - parts), count).toString());
      }
      if (names.stream().distinct().count() == names.size()) {
        return names;
      }
    }
    return places.stream().map(Path::toString).toList();
  }

  // What the template sees.

  String title() {
    return String.join(", ", names);
  }

  List<String> names() {
    return names;
  }

  List<Row> rows() {
    List<Row> rows = new ArrayList<>();
    for (int i = 0; i < runs.size(); i++) {
      Run run = runs.get(i);
      rows.add(
          new Row(
              names.get(i),
              run.folder().toString(),
              run.record().state().words(),
              "%d of %d".formatted(run.done(), run.record().steps()),
              run.record().precision()));
    }
    return rows;
  }

  List<Difference> differences() {
    Map<String, String[]> values = new LinkedHashMap<>();
    for (int i = 0; i < runs.size(); i++) {
      for (RunRecord.Value each : runs.get(i).record().settings()) {
        String concept = each.concept().isEmpty() ? "" : "concept " + each.concept() + ": ";
        if (!PLACES.contains(each.key())) {
          values.computeIfAbsent(concept + each.key(), key -> new String[runs.size()])[i] =
              each.value();
        }
      }
    }
    return shown(values).stream()
        .filter(each -> each.values().stream().distinct().count() > 1)
        .toList();
  }

  /** How far each prompt that was asked at a run's end moved, by run. */
  List<Difference> moved() {
    Map<String, String[]> values = new LinkedHashMap<>();
    for (int i = 0; i < runs.size(); i++) {
      for (RunRecord.Moved each : runs.get(i).record().moved()) {
        String asked = "%s (%s)".formatted(each.prompt(), each.kind());
        values.computeIfAbsent(asked, key -> new String[runs.size()])[i] = each.shown();
      }
    }
    return shown(values);
  }

  private static List<Difference> shown(Map<String, String[]> values) {
    List<Difference> shown = new ArrayList<>();
    values.forEach(
        (key, each) ->
            shown.add(
                new Difference(key, Arrays.stream(each).map(v -> v == null ? "–" : v).toList())));
    return shown;
  }

  String json() {
    List<Samples> samples = new ArrayList<>();
    for (int i = 0; i < runs.size(); i++) {
      for (Samples each : runs.get(i).samples()) {
        samples.add(new Samples(names.get(i) + ": " + each.name(), each.sheets()));
      }
    }
    List<Chart> charts = Chart.ofRuns(names, runs.stream().map(Run::metrics).toList());
    return Html.json(new PageData("", "", List.of(), charts, PageData.sliders(samples, pictures)));
  }

  String style() {
    return RunPage.style(false);
  }

  String library() {
    return Html.chartScript();
  }

  String script() {
    return Html.resource("page.js");
  }

  String policy() {
    return Html.policy(new String[] {style()}, new String[] {library(), script()});
  }
}
