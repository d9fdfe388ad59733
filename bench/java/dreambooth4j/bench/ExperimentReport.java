package dreambooth4j.bench;

import com.samskivert.mustache.Mustache;
import dreambooth4j.bench.Charts.Bars;
import dreambooth4j.bench.Charts.Line;
import dreambooth4j.bench.ExperimentMeasures.Measure;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.LongSummaryStatistics;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.commons.math3.analysis.interpolation.LinearInterpolator;
import org.apache.commons.math3.analysis.polynomials.PolynomialSplineFunction;

/** An experiment's figures and its page, from raw results alone. */
final class ExperimentReport {
  private static final List<String> WEIGHTS =
      List.of("none", "weight-0.01", "weight-0.15", "weight-0.4", "weight-1");

  /** What the front page's figure shows: weights, then numbers of images. */
  private static final List<String> ANSWER = and(WEIGHTS, "images-1", "images-16", "one-prompt");

  /** Cells that are compared where each has learnt as much as the slowest; all weights train. */
  private static final List<String> WHOLE = and(ANSWER, "anchor", "anchor-images");

  private static final List<String> LORAS = List.of("lora-none", "lora-images", "lora-prediction");

  private static final List<String> NUMBERS =
      List.of("images-1", "weight-0.4", "images-16", "one-prompt", "anchor", "anchor-images");

  private final ExperimentPlan plan;
  private final ExperimentMeasures measures;
  private final Path work;
  private final Path page;
  private final Measure ofClass;
  private final Measure ofWords;
  private final Measure ofControls;

  ExperimentReport(ExperimentPlan plan, ExperimentResults results, Path work, Path page) {
    this.plan = plan;
    this.work = work;
    this.page = page.toAbsolutePath();
    measures = new ExperimentMeasures(plan, results);
    ofClass = measures.towards(ExperimentMeasures.ofClass());
    ofWords = measures.towards(ExperimentMeasures.ofWords());
    ofControls = measures.towards(ExperimentMeasures.ofControls());
  }

  private static List<String> and(List<String> some, String... more) {
    return Stream.concat(some.stream(), Stream.of(more)).toList();
  }

  /** Writes the page and its figures, of the cells that have results. */
  void write() throws IOException {
    Path folder = Objects.requireNonNull(page.getParent());
    Charts charts = new Charts(Files.createDirectories(folder.resolve("images")), "prior");
    boolean answer = answer(charts);
    boolean weights =
        curves(
            charts,
            "weights",
            "Weight of the class images: the subject learnt, the class moved",
            WEIGHTS,
            "none",
            Map.of());
    boolean numbers =
        curves(
            charts,
            "numbers",
            "How many class images, and an anchor instead",
            NUMBERS,
            "weight-0.4",
            Map.of("weight-0.4", "4 images"));
    boolean lora =
        curves(
            charts, "lora", "LoRA: the same, and prior prediction", LORAS, "lora-none", Map.of());
    boolean words = words(charts);
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("subjects", plan.subjects().size());
    values.put("seeds", seeds());
    values.put("steps", plan.steps());
    values.put("runs", cells().mapToInt(this::runs).sum());
    values.put("answer", answer);
    values.put("weights", weights);
    values.put("numbers", numbers);
    values.put("lora", lora);
    values.put("words", words);
    values.put("missing", missing());
    ExperimentTables tables = new ExperimentTables(plan, measures);
    values.put("ends", tables.settings(there(WHOLE), "none"));
    values.put("loras", tables.settings(there(LORAS), "lora-none"));
    values.put("everyWord", tables.words("none", "weight-0.4"));
    values.put("sheets", sheets(folder.resolve("images")));
    values.put("claims", new ExperimentClaims(measures, plan::name).all());
    try (Reader template =
        new InputStreamReader(
            Objects.requireNonNull(
                ExperimentReport.class.getResourceAsStream("experiment.mustache")),
            StandardCharsets.UTF_8)) {
      Files.writeString(
          page,
          Mustache.compiler()
              .escapeHTML(false)
              .emptyStringIsFalse(true)
              .compile(template)
              .execute(values));
    }
    System.err.println("Written: " + page);
  }

  private Stream<String> cells() {
    return plan.cells().keySet().stream();
  }

  /** Names of cells that no run of is measured, or nothing. */
  private String missing() {
    return cells()
        .filter(cell -> runs(cell) == 0)
        .map(plan::name)
        .collect(Collectors.joining("; "));
  }

  private List<String> there(List<String> cells) {
    return cells.stream().filter(cell -> runs(cell) > 0).toList();
  }

  private int runs(String cell) {
    return measures.runs(cell).size();
  }

  /** "1 seed", or "1 to 3 seeds" where cells have different numbers of them so far. */
  private String seeds() {
    Map<String, Long> counts =
        cells()
            .flatMap(cell -> measures.runs(cell).stream())
            .collect(
                Collectors.groupingBy(
                    run -> run.subject() + "/" + run.cell(), Collectors.counting()));
    LongSummaryStatistics all =
        counts.values().stream().mapToLong(Long::longValue).summaryStatistics();
    String least = all.getMin() == all.getMax() ? "" : all.getMin() + " to ";
    return least + all.getMax() + (all.getMax() == 1 ? " seed" : " seeds");
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

  /** What is learnt and what is lost by the end, beside each other. */
  private boolean answer(Charts charts) throws IOException {
    List<String> there = there(ANSWER);
    if (there.isEmpty()) {
      return false;
    }
    charts.groups(
        "answer",
        "What weight, how many class images?",
        "class images a picture, at their weight",
        "part",
        there.stream().map(plan::amount).toList(),
        List.of(
            new Bars(
                "subject learnt (part of its loss gone)", besideNone(there, measures.learnt())),
            new Bars("class moved", besideNone(there, ofClass)),
            new Bars("other caption words moved", besideNone(there, ofWords)),
            new Bars("unrelated words moved", besideNone(there, ofControls))));
    return true;
  }

  private List<Estimate> besideNone(List<String> cells, Measure measure) {
    return cells.stream()
        .map(cell -> measures.beside(cell, "none", measures.end(), measure))
        .toList();
  }

  /**
   * How far the class went to the subject over how much is learnt, a marker a measured step, with
   * the interval of its difference from another cell. Cells have the plan's names but for those
   * that have another in this figure.
   */
  private boolean curves(
      Charts charts,
      String name,
      String title,
      List<String> cells,
      String beside,
      Map<String, String> otherNames)
      throws IOException {
    List<Line> lines = new ArrayList<>();
    for (String cell : there(cells)) {
      List<Double> learnt =
          steps()
              .mapToObj(at -> measures.at(cell, at, measures.learnt()).mean())
              .map(part -> Math.max(0, 100 * part))
              .toList();
      lines.add(
          line(
              otherNames.getOrDefault(cell, plan.name(cell)),
              learnt,
              steps().mapToObj(at -> measures.beside(cell, beside, at, ofClass)).toList()));
    }
    if (!lines.isEmpty()) {
      charts.lines(
          name, title, "subject learnt, %", "class, part of the way to the subject", lines);
    }
    return lines.size() > 1;
  }

  /**
   * How far caption words went by the part of the captions that hold them, without class images. A
   * line for each subject, for these differ more than their words do, and the mean of these lines
   * where all of them are.
   */
  private boolean words(Charts charts) throws IOException {
    List<Line> lines = new ArrayList<>();
    List<PolynomialSplineFunction> functions = new ArrayList<>();
    SortedSet<Double> places = new TreeSet<>();
    for (String subject : plan.subjects().keySet()) {
      SortedMap<Double, Double> words = measures.towardsByPart(subject, "none");
      if (words.size() > 1) {
        double[] x = words.keySet().stream().mapToDouble(part -> 100 * part).toArray();
        double[] y = words.values().stream().mapToDouble(way -> way).toArray();
        lines.add(new Line(subject, list(x), list(y), null));
        functions.add(new LinearInterpolator().interpolate(x, y));
        places.addAll(list(x));
      }
    }
    if (lines.isEmpty()) {
      return false;
    }
    double[] x =
        places.stream()
            .filter(place -> functions.stream().allMatch(each -> each.isValidPoint(place)))
            .mapToDouble(place -> place)
            .toArray();
    double[] y =
        Arrays.stream(x)
            .map(at -> functions.stream().mapToDouble(f -> f.value(at)).average().orElseThrow())
            .toArray();
    charts.linesAndMean(
        "words",
        "Words of the captions, by how many captions hold them: no class images",
        "captions that hold the word, %",
        "part of the way to the subject",
        lines,
        new Line("mean of these", list(x), list(y), null));
    return true;
  }

  private static List<Double> list(double[] values) {
    return Arrays.stream(values).boxed().toList();
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
}
