package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.bench.ExperimentPlan.Run;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import org.apache.commons.math3.stat.correlation.SpearmansCorrelation;

/**
 * What is read out of an experiment's raw results, for one run or over all of a cell. Runs of one
 * subject resemble each other, so intervals are over subjects: each counts as the mean of its
 * seeds.
 */
final class ExperimentMeasures {
  /** A number of a run at one of the steps that are measured; NaN where it has none. */
  @FunctionalInterface
  interface Measure {
    /**
     * The number.
     *
     * @param at index into the plan's measured steps
     */
    double of(Run run, int at);

    /** This less another of the same run. */
    default Measure less(Measure other) {
      return (run, at) -> of(run, at) - other.of(run, at);
    }
  }

  private static final Set<String> WORDS = Set.of("frequent", "rare");

  private final ExperimentPlan plan;
  private final ExperimentResults results;

  ExperimentMeasures(ExperimentPlan plan, ExperimentResults results) {
    this.plan = plan;
    this.results = results;
  }

  /** Runs of a cell whose results are there, and those of the untouched model. */
  List<Run> runs(String cell) {
    return plan.runs().stream()
        .filter(run -> run.cell().equals(cell) && results.has(run))
        .filter(run -> results.has(in(run, ExperimentPlan.UNTOUCHED)))
        .toList();
  }

  private static Run in(Run run, String cell) {
    return new Run(run.subject(), cell, run.seed());
  }

  private JsonNode point(Run run, int at) {
    return results.of(run).path("points").path(at);
  }

  /** How much of the subject is learnt: 0 is nothing. */
  Measure learnt() {
    return this::learnt;
  }

  /**
   * The part of the untouched model's instance loss, at the same noise, that is gone in the steps
   * before this measurement.
   */
  private double learnt(Run run, int at) {
    double loss = point(run, at).path("instance_loss").asDouble(Double.NaN);
    Run untouched = in(run, ExperimentPlan.UNTOUCHED);
    return 1 - loss / point(untouched, at).path("instance_loss").asDouble(Double.NaN);
  }

  /** The mean bleed of these prompts. */
  Measure bleed(Predicate<JsonNode> prompts) {
    return mean("bleed", prompts);
  }

  /** How much of the way to the subject these prompts' answers went, in the mean. */
  Measure towards(Predicate<JsonNode> prompts) {
    return mean("towards", prompts);
  }

  private Measure mean(String column, Predicate<JsonNode> prompts) {
    return (run, at) -> {
      double sum = 0;
      int count = 0;
      for (JsonNode each : point(run, at).path("bleed").path("prompts")) {
        if (prompts.test(each)) {
          sum += each.path(column).asDouble();
          count++;
        }
      }
      return count == 0 ? Double.NaN : sum / count;
    };
  }

  static Predicate<JsonNode> ofClass() {
    return kind("class");
  }

  /** Words of captions, the class aside. */
  static Predicate<JsonNode> ofWords() {
    return prompt -> WORDS.contains(prompt.path("kind").asText());
  }

  /** Things that the base model draws well and no caption names. */
  static Predicate<JsonNode> ofControls() {
    return kind("asked");
  }

  private static Predicate<JsonNode> kind(String kind) {
    return prompt -> prompt.path("kind").asText().equals(kind);
  }

  /** These words. */
  static Predicate<JsonNode> words(Collection<String> some) {
    return prompt -> some.contains(prompt.path("prompt").asText());
  }

  /** The variety of the class's pictures, the base model's being 1. */
  Measure variety() {
    return (run, at) -> {
      for (JsonNode each : point(run, at).path("bleed").path("prompts")) {
        if (ofClass().test(each) && each.has("div")) {
          JsonNode variety = each.get("div");
          return variety.path("after").asDouble() / variety.path("before").asDouble();
        }
      }
      return Double.NaN;
    };
  }

  /** Rank correlation, over caption words, of a column with the captions that hold them. */
  Measure correlation(String column) {
    return (run, at) -> {
      List<double[]> words = new ArrayList<>();
      for (JsonNode each : point(run, at).path("bleed").path("prompts")) {
        if (ofWords().test(each)) {
          words.add(new double[] {each.path("captions").asDouble(), each.path(column).asDouble()});
        }
      }
      return words.size() < 3
          ? Double.NaN
          : new SpearmansCorrelation()
              .correlation(
                  words.stream().mapToDouble(w -> w[0]).toArray(),
                  words.stream().mapToDouble(w -> w[1]).toArray());
    };
  }

  /**
   * How far a subject's caption words went to it at the end of a cell, over the part of its
   * captions that hold them: the mean of all words of the same part, and of all seeds.
   */
  SortedMap<Double, Double> towardsByPart(String subject, String cell) {
    SortedMap<Double, List<Double>> all = new TreeMap<>();
    for (Run run : runs(cell)) {
      if (run.subject().equals(subject)) {
        JsonNode prompts = point(run, end()).path("bleed").path("prompts");
        double captions = 1; // the class stands in all of them
        for (JsonNode each : prompts) {
          captions = Math.max(captions, each.path("captions").asDouble());
        }
        for (JsonNode each : prompts) {
          if (ofWords().test(each)) {
            all.computeIfAbsent(
                    each.path("captions").asDouble() / captions, part -> new ArrayList<>())
                .add(each.path("towards").asDouble());
          }
        }
      }
    }
    SortedMap<Double, Double> means = new TreeMap<>();
    all.forEach((part, values) -> means.put(part, Estimate.of(values).mean()));
    return means;
  }

  /** A measure of a cell at one of the steps that are measured. */
  Estimate at(String cell, int at, Measure measure) {
    return over(runs(cell), run -> measure.of(run, at));
  }

  /**
   * A measure of each of these cells at one of the steps that are measured, of the subjects that
   * all of them have. Intervals are within subjects: by how much a subject differs from others in
   * all cells alike is taken off (Cousineau 2005, with Morey's correction of 2008). So they tell
   * cells apart, which those of {@link #at} do not where subjects differ more than cells.
   */
  List<Estimate> withinSubjects(List<String> cells, int at, Measure measure) {
    List<double[]> ofSubjects =
        plan.subjects().keySet().stream()
            .map(subject -> cells.stream().mapToDouble(of(subject, at, measure)).toArray())
            .filter(values -> Arrays.stream(values).allMatch(Double::isFinite))
            .toList();
    double mean = ofSubjects.stream().mapToDouble(ExperimentMeasures::mean).average().orElse(0);
    double correction = Math.sqrt(cells.size() / Math.max(1.0, cells.size() - 1.0));
    List<Estimate> estimates = new ArrayList<>();
    for (int i = 0; i < cells.size(); i++) {
      int cell = i;
      Estimate plain =
          Estimate.of(
              ofSubjects.stream()
                  .map(
                      values ->
                          cells.size() < 2 ? values[cell] : values[cell] - mean(values) + mean)
                  .toList());
      estimates.add(new Estimate(plain.mean(), plain.half() * correction, plain.count()));
    }
    return estimates;
  }

  /** The mean of a subject's seeds in a cell; NaN where there are none. */
  private ToDoubleFunction<String> of(String subject, int at, Measure measure) {
    return cell ->
        runs(cell).stream()
            .filter(run -> run.subject().equals(subject))
            .mapToDouble(run -> measure.of(run, at))
            .average()
            .orElse(Double.NaN);
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  /** A measure of a cell at the end. */
  Estimate atEnd(String cell, Measure measure) {
    return at(cell, end(), measure);
  }

  /** One cell less another at the end, of the subjects and seeds that both have. */
  Estimate difference(String cell, String other, Measure measure) {
    return over(
        both(cell, other), run -> measure.of(run, end()) - measure.of(in(run, other), end()));
  }

  /** The same where both have learnt as much as the slower one by its end. */
  Estimate differenceEquallyLearnt(String cell, String other, Measure measure) {
    List<String> cells = List.of(cell, other);
    return over(
        both(cell, other),
        run -> {
          double wanted = leastLearnt(run, cells);
          return interpolated(run, wanted, measure) - interpolated(in(run, other), wanted, measure);
        });
  }

  /**
   * A measure of a cell where it has learnt as much as the slowest of these cells by its end: on
   * straight lines between the steps that were measured.
   */
  Estimate atEquallyLearnt(String cell, List<String> cells, Measure measure) {
    return over(runs(cell), run -> interpolated(run, leastLearnt(run, cells), measure));
  }

  /** Index of the last step that is measured. */
  int end() {
    return plan.measuredAt().size() - 1;
  }

  private List<Run> both(String cell, String other) {
    List<Run> others = runs(other);
    return runs(cell).stream().filter(run -> others.contains(in(run, other))).toList();
  }

  private static Estimate over(List<Run> runs, ToDoubleFunction<Run> value) {
    Map<String, List<Double>> ofSubjects = new LinkedHashMap<>();
    for (Run run : runs) {
      ofSubjects
          .computeIfAbsent(run.subject(), name -> new ArrayList<>())
          .add(value.applyAsDouble(run));
    }
    return Estimate.of(ofSubjects.values().stream().map(each -> Estimate.of(each).mean()).toList());
  }

  /** What all of these cells have learnt of a subject by the end at least, the same seed. */
  private double leastLearnt(Run run, List<String> cells) {
    return cells.stream()
        .map(cell -> in(run, cell))
        .filter(results::has)
        .mapToDouble(each -> learnt(each, end()))
        .min()
        .orElse(Double.NaN);
  }

  private double interpolated(Run run, double wanted, Measure measure) {
    double learnt = 0;
    double value = 0; // nothing is learnt and nothing moved before the first step
    for (int at = 0; at <= end(); at++) {
      double next = learnt(run, at);
      double there = measure.of(run, at);
      if (next >= wanted) {
        double part = next > learnt ? Math.max(0, (wanted - learnt) / (next - learnt)) : 1;
        return value + part * (there - value);
      }
      learnt = next;
      value = there;
    }
    return Double.NaN;
  }
}
