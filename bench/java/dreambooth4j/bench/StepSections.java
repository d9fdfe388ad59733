package dreambooth4j.bench;

import static dreambooth4j.bench.Section.origin;
import static dreambooth4j.bench.Section.percent;
import static dreambooth4j.bench.Section.range;
import static dreambooth4j.bench.Section.shown;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.bench.Charts.Line;
import dreambooth4j.bench.Results.Comparison;
import dreambooth4j.bench.Results.Measured;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Whole training steps: against diffusers, their memory, their cost by batch and resolution. */
final class StepSections {
  /** A memory trace with fewer samples is no curve. */
  private static final int LEAST_SAMPLES = 20;

  private static final int RESIDENT = 1;
  private static final int TENSORS = 2;

  private StepSections() {}

  /** Bars: how many times as fast as diffusers. */
  static Section comparisons(Charts charts, List<Comparison> comparisons) throws IOException {
    List<Comparison> fastestFirst =
        comparisons.stream()
            .sorted(Comparator.comparing((Comparison each) -> -Results.median(each.speedups())))
            .toList();
    List<String> names = new ArrayList<>();
    List<Double> medians = new ArrayList<>();
    List<List<String>> rows = new ArrayList<>();
    for (Comparison each : fastestFirst) {
      double[] speedups = each.speedups();
      double median = Results.median(speedups);
      String range = speedups.length == 1 ? "one round" : range(speedups);
      names.add("%s: %s (%s)".formatted(each.name(), shown(median), range));
      medians.add(median);
      rows.add(
          List.of(
              each.name(),
              each.text("shape").replaceAll("[^ ,]*/(?=[^/ ,]+/[^/ ,]+\\.json)", ""),
              each.text("baseline").replaceFirst("^diffusers ", ""),
              (each.text("blas") + " " + each.text("ours")).strip(),
              shown(median),
              range,
              "" + speedups.length,
              shown(Results.median(each.memory())),
              origin(each.facts())));
    }
    String picture =
        charts.bars(
            "speed",
            "Training steps against diffusers' (1 is its own speed; longer is better)",
            "times as fast: median (slowest and fastest round)",
            names,
            medians);
    return new Section(
        "Against diffusers",
        """
        Each round runs both, one after the other, in processes of their own, on the same shapes \
        and random weights; the ratio is that of their median steps.""",
        Map.of(picture, "Bars: how many times as fast as diffusers"),
        List.of(
            "name",
            "UNet, batch, size",
            "diffusers with",
            "ours with",
            "times as fast",
            "range",
            "rounds",
            "peak memory, share of its",
            "commit, day"),
        rows);
  }

  /** Curves: what a step holds while it goes on. */
  static Section memory(Charts charts, List<Comparison> comparisons) throws IOException {
    List<Line> tensors = new ArrayList<>();
    List<Line> resident = new ArrayList<>();
    List<List<String>> rows = new ArrayList<>();
    for (Comparison each : comparisons) {
      JsonNode samples = each.json().path("memory over a step");
      if (samples.isEmpty()) {
        continue;
      }
      boolean counted = samples.get(0).size() > TENSORS; // earlier results are without
      if (samples.size() >= LEAST_SAMPLES) {
        (counted ? tensors : resident).add(curve(each, samples, counted ? TENSORS : RESIDENT));
      }
      rows.add(
          List.of(
              each.name(),
              counted ? gigabytes(samples, TENSORS) : "-",
              gigabytes(samples, RESIDENT),
              "" + samples.size()));
    }
    Map<String, String> pictures = new LinkedHashMap<>();
    String x = "share of the step's time, %";
    if (!tensors.isEmpty()) {
      pictures.put(
          charts.curves(
              "memory-tensors", "Bytes of our tensors over one training step", x, "GB", tensors),
          "Curves: bytes of our tensors over a step");
    }
    if (!resident.isEmpty()) {
      pictures.put(
          charts.curves(
              "memory-resident",
              "Resident memory of our process over one training step",
              x,
              "GB",
              resident),
          "Curves: resident memory of our process over a step");
    }
    return new Section(
        "Memory over a step",
        """
        Of our process, sampled every 5 ms during a run's last step. Resident memory hardly moves, \
        for what a step frees stays with the process for the next one. A step with fewer than %d \
        samples has no curve."""
            .formatted(LEAST_SAMPLES),
        pictures,
        List.of("name", "tensors, GB", "resident with libraries, GB", "samples"),
        rows);
  }

  private static Line curve(Comparison of, JsonNode samples, int quantity) {
    double end = samples.get(samples.size() - 1).get(0).asDouble();
    List<Double> x = new ArrayList<>();
    List<Double> y = new ArrayList<>();
    for (JsonNode each : samples) {
      x.add(100 * each.get(0).asDouble() / end);
      y.add(each.get(quantity).asDouble() / 1e9);
    }
    return new Line("%s (%s s)".formatted(of.name(), shown(end)), x, y, null);
  }

  private static String gigabytes(JsonNode samples, int quantity) {
    List<Double> values = new ArrayList<>();
    samples.forEach(each -> values.add(each.get(quantity).asDouble() / 1e9));
    return range(values.stream().mapToDouble(Double::doubleValue).sorted().toArray());
  }

  /** Curves: time of a picture by batch, a line for each resolution; a picture for each UNet. */
  static Section cost(Charts charts, List<Measured> steps) throws IOException {
    Map<String, Map<Integer, List<Measured>>> byUnetAndSide = new TreeMap<>();
    for (Measured each : steps) {
      byUnetAndSide
          .computeIfAbsent(unet(each), unet -> new TreeMap<>())
          .computeIfAbsent(each.number("side"), side -> new ArrayList<>())
          .add(each);
    }
    Map<String, String> pictures = new LinkedHashMap<>();
    List<List<String>> rows = new ArrayList<>();
    for (var unet : byUnetAndSide.entrySet()) {
      List<Line> lines = new ArrayList<>();
      for (var side : unet.getValue().entrySet()) {
        side.getValue().sort(Comparator.comparing(each -> each.number("pairs")));
        side.getValue().forEach(each -> rows.add(row(unet.getKey(), each, side.getValue().get(0))));
        lines.add(line(side.getKey(), side.getValue()));
      }
      boolean single = lines.size() == 1 && lines.get(0).x().size() == 1;
      if (!single) { // the table says as much
        pictures.put(
            charts.lines(
                "cost-" + unet.getKey(),
                "Cost of a picture by batch and resolution, UNet " + unet.getKey(),
                "pictures in a step, instance and class pictures together",
                "ms a picture",
                lines),
            "Curves: time of a picture by batch and resolution");
      }
    }
    return new Section(
        "Cost by batch and resolution",
        """
        Whole steps on made-up latents: medians; bars and ± are half of what lies between the \
        fastest and the slowest step. Java garbage is what a step leaves on the Java heap.""",
        pictures,
        List.of(
            "UNet",
            "px",
            "pictures",
            "ms a step",
            "±",
            "ms a picture",
            "of that of the smallest batch",
            "Java garbage, MB a step",
            "commit, day"),
        rows);
  }

  /** Time of a picture at one resolution by batch, of steps in that order. */
  private static Line line(int side, List<Measured> steps) {
    List<Double> x = new ArrayList<>();
    List<Double> y = new ArrayList<>();
    List<Double> errors = new ArrayList<>();
    for (Measured each : steps) {
      double aPicture = each.score() / pictures(each);
      x.add((double) pictures(each));
      y.add(aPicture);
      errors.add(aPicture * each.spread());
    }
    return new Line(side + " px", x, y, errors);
  }

  private static List<String> row(String unet, Measured step, Measured smallest) {
    double aPicture = step.score() / pictures(step);
    return List.of(
        unet,
        step.param("side"),
        "" + pictures(step),
        shown(step.score()),
        percent(step.spread()),
        shown(aPicture),
        percent(aPicture * pictures(smallest) / smallest.score()),
        shown(step.secondary("gc.alloc.rate.norm") / 1e6),
        origin(step.facts()));
  }

  private static int pictures(Measured step) {
    return 2 * step.number("pairs");
  }

  /** {@code sd15-unet} of its config's path; the folder's name where the file is config.json. */
  private static String unet(Measured step) {
    return step.param("unet")
        .replaceFirst("(/unet)?/config\\.json$", "")
        .replaceFirst("\\.json$", "")
        .replaceFirst(".*/", "");
  }
}
