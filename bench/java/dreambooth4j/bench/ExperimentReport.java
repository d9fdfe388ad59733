package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.samskivert.mustache.Mustache;
import dreambooth4j.bench.Charts.Line;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/** An experiment's figures and its page, from raw results alone. */
final class ExperimentReport {
  private static final List<String> WEIGHTS =
      List.of("none", "weight-0.01", "weight-0.15", "weight-0.4", "weight-1");

  /** Cells that are compared where each has learnt as much as the slowest; all weights train. */
  private static final List<String> WHOLE =
      List.of(
          "none",
          "weight-0.01",
          "weight-0.15",
          "weight-0.4",
          "weight-1",
          "images-1",
          "images-16",
          "one-prompt",
          "anchor",
          "anchor-images");

  private static final List<String> LORAS = List.of("lora-none", "lora-images", "lora-prediction");

  private final ExperimentPlan plan;
  private final ExperimentMeasures measures;
  private final Path work;
  private final Path page;
  private final ToDoubleFunction<JsonNode> ofClass;
  private final ToDoubleFunction<JsonNode> ofWords;
  private final ToDoubleFunction<JsonNode> ofControls;

  ExperimentReport(ExperimentPlan plan, ExperimentResults results, Path work, Path page) {
    this.plan = plan;
    this.work = work;
    this.page = page.toAbsolutePath();
    measures = new ExperimentMeasures(plan, results);
    ofClass = measures.bleed(ExperimentMeasures.kind("class"));
    ofWords = measures.bleed(each -> ExperimentMeasures.WORDS.contains(each.path("kind").asText()));
    ofControls = measures.bleed(ExperimentMeasures.kind("control"));
  }

  /** Writes the page and its figures, of the cells that have results. */
  void write() throws IOException {
    Path folder = Objects.requireNonNull(page.getParent());
    Charts charts = new Charts(Files.createDirectories(folder.resolve("images")), "prior");
    curves(charts, "weights", "Class images' weight: the subject learnt, the class moved", WEIGHTS);
    curves(
        charts,
        "numbers",
        "How many class images, and an anchor instead",
        List.of("images-1", "weight-0.4", "images-16", "one-prompt", "anchor", "anchor-images"));
    curves(charts, "lora", "LoRA: the same, and prior prediction", LORAS);
    words(charts);
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("subjects", plan.subjects().size());
    values.put("seeds", plan.seeds().size());
    values.put("steps", plan.steps());
    values.put("runs", WHOLE.stream().mapToInt(cell -> measures.runs(cell).size()).sum());
    values.put("ends", table(WHOLE));
    values.put("loras", table(LORAS));
    values.put("sheets", sheets(folder.resolve("images")));
    values.put("claims", new ExperimentClaims(measures).all());
    try (Reader template =
        new InputStreamReader(
            Objects.requireNonNull(
                ExperimentReport.class.getResourceAsStream("experiment.mustache")),
            StandardCharsets.UTF_8)) {
      Files.writeString(
          page, Mustache.compiler().escapeHTML(false).compile(template).execute(values));
    }
    System.err.println("Written: " + page);
  }

  /** Names of the sheets of pictures that are there, those that can be made written anew. */
  private List<String> sheets(Path images) throws IOException {
    ExperimentPictures pictures = new ExperimentPictures(plan, work);
    List<String> sheets = new ArrayList<>();
    for (String subject : plan.subjects().keySet()) {
      Path sheet = images.resolve("prior-pictures-%s.jpg".formatted(subject));
      if (pictures.write(subject, sheet) || Files.exists(sheet)) {
        sheets.add(subject);
      }
    }
    return sheets;
  }

  /** How far the class moved over how much is learnt, a marker a measured step. */
  private void curves(Charts charts, String name, String title, List<String> cells)
      throws IOException {
    List<Line> lines = new ArrayList<>();
    for (String cell : cells) {
      if (!measures.runs(cell).isEmpty()) {
        List<Estimate> moved = steps().mapToObj(at -> measures.at(cell, at, ofClass)).toList();
        List<Double> learnt =
            steps().mapToObj(at -> Math.max(0, 100 * measures.learntAt(cell, at).mean())).toList();
        lines.add(line(plan.name(cell), learnt, moved));
      }
    }
    if (!lines.isEmpty()) {
      charts.lines(name, title, "subject learnt, %", "bleed of the class", lines);
    }
  }

  /** Bleed of caption words by the captions that hold them. */
  private void words(Charts charts) throws IOException {
    List<Line> lines = new ArrayList<>();
    for (String cell : List.of("none", "weight-0.4", "anchor")) {
      List<Double> captions = new ArrayList<>();
      List<Estimate> bleeds = new ArrayList<>();
      for (int i = 1; i <= 8; i++) {
        Estimate bleed = measures.atEnd(cell, measures.bleed(ExperimentMeasures.inCaptions(i)));
        if (bleed.count() > 0) {
          captions.add((double) i);
          bleeds.add(bleed);
        }
      }
      if (!captions.isEmpty()) {
        lines.add(line(plan.name(cell), captions, bleeds));
      }
    }
    if (!lines.isEmpty()) {
      charts.lines(
          "words",
          "Words of the captions: the more captions hold one, …",
          "captions that hold the word",
          "bleed of the word",
          lines);
    }
  }

  private static Line line(String name, List<Double> x, List<Estimate> y) {
    boolean intervals = y.stream().allMatch(each -> Double.isFinite(each.half()));
    return new Line(
        name,
        x,
        y.stream().map(Estimate::mean).toList(),
        intervals ? y.stream().map(Estimate::half).toList() : null);
  }

  private IntStream steps() {
    return IntStream.range(0, plan.measuredAt().size());
  }

  private List<Map<String, Object>> table(List<String> cells) {
    List<Map<String, Object>> rows = new ArrayList<>();
    int end = plan.measuredAt().size() - 1;
    List<String> there = cells.stream().filter(cell -> !measures.runs(cell).isEmpty()).toList();
    for (String cell : there) {
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("cell", plan.name(cell));
      row.put("learnt", measures.learntAt(cell, end));
      row.put("class", measures.atEnd(cell, ofClass));
      row.put("words", measures.atEnd(cell, ofWords));
      row.put("controls", measures.atEnd(cell, ofControls));
      row.put("variety", measures.atEnd(cell, ExperimentMeasures::variety));
      row.put("equalClass", measures.atEqualFidelity(cell, there, ofClass));
      row.put("equalWords", measures.atEqualFidelity(cell, there, ofWords));
      row.put("equalControls", measures.atEqualFidelity(cell, there, ofControls));
      rows.add(row);
    }
    return rows;
  }
}
