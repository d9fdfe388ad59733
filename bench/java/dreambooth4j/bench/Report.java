package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.samskivert.mustache.Mustache;
import java.awt.Color;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.internal.chartpart.Chart;

/** Turns all of bench/results into bench/results/report.html and PNG pictures beside it. */
public final class Report {
  private static final Path RESULTS = Path.of("bench", "results");
  private static final Color OURS = new Color(0x2f6f4f);

  private final ObjectMapper json = new ObjectMapper();
  private final List<Map<String, Object>> sections = new ArrayList<>();

  private Report() {}

  /** No arguments. */
  public static void main(String[] args) throws IOException {
    Report report = new Report();
    report.comparisons();
    report.ops();
    report.memory();
    report.tables();
    report.write();
  }

  private static List<Path> results(String prefix, String suffix) throws IOException {
    try (Stream<Path> files = Files.list(RESULTS)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith(prefix))
          .filter(file -> file.getFileName().toString().endsWith(suffix))
          .sorted()
          .toList();
    }
  }

  /** Bars: how many times as fast as each baseline, with the rounds' spread. */
  private void comparisons() throws IOException {
    List<String> names = new ArrayList<>();
    List<Double> speedups = new ArrayList<>();
    List<Double> spreads = new ArrayList<>();
    List<List<String>> rows = new ArrayList<>();
    for (Path file : results("compare-", ".json")) {
      JsonNode result = json.readTree(file.toFile());
      double least = Double.MAX_VALUE;
      double most = 0;
      for (JsonNode round : result.get("rounds")) {
        double speedup = round.get("theirSeconds").asDouble() / round.get("ourSeconds").asDouble();
        least = Math.min(least, speedup);
        most = Math.max(most, speedup);
      }
      names.add(file.getFileName().toString().replaceAll("compare-|\\.json", ""));
      speedups.add(result.get("speedup").asDouble());
      spreads.add((most - least) / 2);
      rows.add(
          List.of(
              names.get(names.size() - 1),
              result.get("shape").asText(),
              result.get("baseline").asText(),
              shown(result.get("speedup").asDouble()),
              shown(least) + " to " + shown(most),
              shown(result.get("memory").asDouble())));
    }
    if (names.isEmpty()) {
      return;
    }
    CategoryChart chart =
        new CategoryChartBuilder()
            .width(900)
            .height(420)
            .title("Speed against diffusers (1 is its own)")
            .yAxisTitle("times as fast")
            .build();
    chart.getStyler().setLegendVisible(false).setSeriesColors(new Color[] {OURS});
    chart.getStyler().setLabelsVisible(true).setYAxisMin(0.0);
    chart.addSeries("ours", names, speedups, spreads);
    section(
        "Against diffusers",
        "Each round runs both, one after the other, on the same shapes; the ratio is of the medians of its steps.",
        picture("speed", chart),
        List.of("name", "shape", "baseline", "times as fast", "rounds", "peak memory, share"),
        rows);
  }

  /** Each op's speed under the roof of the machine it ran on. */
  private void ops() throws IOException {
    Path file = RESULTS.resolve("ops.json");
    if (!Files.exists(file)) {
      return;
    }
    JsonNode machine = json.readTree(RESULTS.resolve("ops.machine.json").toFile());
    Roofline roof =
        new Roofline(
            machine.at("/roofline/gflops").asDouble(),
            machine.at("/roofline/gigabytes").asDouble());
    List<Double> intensities = new ArrayList<>();
    List<Double> speeds = new ArrayList<>();
    List<List<String>> rows = new ArrayList<>();
    for (JsonNode each : json.readTree(file.toFile())) {
      double perSecond = each.at("/primaryMetric/score").asDouble();
      double gflops = each.at("/secondaryMetrics/gflops/score").asDouble();
      double gigabytes = each.at("/secondaryMetrics/gigabytes/score").asDouble();
      double share =
          gflops > 0 ? gflops / roof.at(gflops / gigabytes) : gigabytes / roof.gigabytes();
      if (gflops > 0) {
        intensities.add(gflops / gigabytes);
        speeds.add(gflops);
      }
      rows.add(
          List.of(
              each.at("/params/op").asText(),
              each.get("benchmark").asText().replaceAll(".*\\.", ""),
              shown(1000 / perSecond),
              gflops > 0 ? shown(gflops) : "",
              shown(gigabytes),
              Math.round(100 * share) + " %"));
    }
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(480)
            .title("Ops under the roof")
            .xAxisTitle("operations a byte")
            .yAxisTitle("GFLOP/s")
            .build();
    chart.getStyler().setXAxisLogarithmic(true).setYAxisLogarithmic(true);
    chart.getStyler().setDefaultSeriesRenderStyle(XYSeriesRenderStyle.Scatter);
    if (!speeds.isEmpty()) {
      chart.addSeries("ops", intensities, speeds);
    }
    List<Double> x = List.of(0.1, roof.gflops() / roof.gigabytes(), 1000.0);
    chart
        .addSeries("roof", x, x.stream().map(roof::at).toList())
        .setXYSeriesRenderStyle(XYSeriesRenderStyle.Line);
    section(
        "Ops",
        "Roof: %s GFLOP/s by a 3×3 convolution, %s GB/s by a copy. Bytes count each tensor once."
            .formatted(shown(roof.gflops()), shown(roof.gigabytes())),
        picture("roofline", chart),
        List.of("op", "what", "ms", "GFLOP/s", "GB/s", "share of the roof"),
        rows);
  }

  /** Resident memory over one step. */
  private void memory() throws IOException {
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(420)
            .title("Memory over a step")
            .xAxisTitle("seconds")
            .yAxisTitle("GB")
            .build();
    chart.getStyler().setMarkerSize(0);
    List<List<String>> rows = new ArrayList<>();
    for (Path file : results("compare-", ".json")) {
      JsonNode result = json.readTree(file.toFile());
      JsonNode memory = result.path("memory over a step");
      if (memory.isEmpty()) {
        continue;
      }
      List<Double> seconds = new ArrayList<>();
      List<Double> gigabytes = new ArrayList<>();
      for (JsonNode each : memory) {
        seconds.add(each.get(0).asDouble());
        gigabytes.add(each.get(1).asDouble() / 1e9);
      }
      String name = file.getFileName().toString().replaceAll("compare-|\\.json", "");
      chart.addSeries(name, seconds, gigabytes);
      rows.add(List.of(name, shown(gigabytes.stream().max(Double::compare).orElseThrow())));
    }
    if (!rows.isEmpty()) {
      section(
          "Memory",
          "Of our process, sampled every few milliseconds during its last step.",
          picture("memory", chart),
          List.of("name", "most, GB"),
          rows);
    }
  }

  /** What JMH measured besides, as it is. */
  private void tables() throws IOException {
    for (String family : List.of("steps", "class-images", "data", "linear")) {
      Path file = RESULTS.resolve(family + ".json");
      if (!Files.exists(file)) {
        continue;
      }
      List<List<String>> rows = new ArrayList<>();
      for (JsonNode each : json.readTree(file.toFile())) {
        JsonNode metric = each.get("primaryMetric");
        rows.add(
            List.of(
                each.get("benchmark").asText().replaceAll(".*\\.", ""),
                each.get("params").toString().replaceAll("[{}\"]", "").replace(",", ", "),
                shown(metric.get("score").asDouble()),
                "± " + shown(metric.get("scoreError").asDouble()),
                metric.get("scoreUnit").asText()));
      }
      section(family, "", "", List.of("what", "of", "score", "error", "unit"), rows);
    }
  }

  private static String picture(String name, Chart<?, ?> chart) throws IOException {
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    BitmapEncoder.saveBitmap(chart, RESULTS.resolve(name + ".png").toString(), BitmapFormat.PNG);
    return name + ".png";
  }

  private void section(
      String title, String text, String picture, List<String> head, List<List<String>> rows) {
    Map<String, Object> section = new HashMap<>();
    section.put("title", title);
    section.put("text", text);
    section.put("picture", picture);
    section.put("head", head);
    section.put("rows", rows);
    sections.add(section);
  }

  private void write() throws IOException {
    List<Map<String, Object>> machines = new ArrayList<>();
    for (Path file : results("", ".machine.json")) {
      String facts = json.readTree(file.toFile()).toPrettyString();
      machines.add(
          Map.of(
              "name", file.getFileName().toString().replace(".machine.json", ""), "facts", facts));
    }
    try (Reader template =
        new InputStreamReader(
            Objects.requireNonNull(Report.class.getResourceAsStream("report.mustache")),
            StandardCharsets.UTF_8)) {
      String page =
          Mustache.compiler()
              .emptyStringIsFalse(true)
              .compile(template)
              .execute(Map.of("sections", sections, "machines", machines));
      Files.writeString(RESULTS.resolve("report.html"), page);
    }
    System.out.println(RESULTS.resolve("report.html"));
  }

  /** Three digits that count. */
  private static String shown(double value) {
    if (value == 0 || !Double.isFinite(value)) {
      return value == 0 ? "0" : "-";
    }
    int decimals = Math.max(0, 2 - (int) Math.floor(Math.log10(Math.abs(value))));
    return String.format(Locale.ROOT, "%." + Math.min(6, decimals) + "f", value);
  }
}
