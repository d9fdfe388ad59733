package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.bench.ExperimentPlan.Run;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.apache.commons.math3.stat.correlation.SpearmansCorrelation;

/** What is read out of an experiment's raw results, for one run or over all of a cell. */
final class ExperimentMeasures {
  /** Words of captions, the class aside. */
  static final Set<String> WORDS = Set.of("frequent", "rare");

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
        .filter(run -> results.has(untouched(run)))
        .toList();
  }

  private static Run untouched(Run run) {
    return new Run(run.subject(), ExperimentPlan.UNTOUCHED, run.seed());
  }

  private JsonNode point(Run run, int at) {
    return results.of(run).path("points").path(at);
  }

  /**
   * How much of the subject is learnt: the part of the untouched model's instance loss, at the same
   * noise, that is gone in the steps before this measurement; 0 is nothing.
   */
  double learnt(Run run, int at) {
    double loss = point(run, at).path("instance_loss").asDouble(Double.NaN);
    return 1 - loss / point(untouched(run), at).path("instance_loss").asDouble(Double.NaN);
  }

  /** The mean bleed of prompts of this kind. */
  ToDoubleFunction<JsonNode> bleed(Predicate<JsonNode> prompts) {
    return bleed -> {
      double sum = 0;
      int count = 0;
      for (JsonNode each : bleed.path("prompts")) {
        if (prompts.test(each)) {
          sum += each.path("bleed").asDouble();
          count++;
        }
      }
      return count == 0 ? Double.NaN : sum / count;
    };
  }

  static Predicate<JsonNode> kind(String kind) {
    return prompt -> prompt.path("kind").asText().equals(kind);
  }

  /** Words of captions that so many captions hold. */
  static Predicate<JsonNode> inCaptions(int captions) {
    return prompt ->
        WORDS.contains(prompt.path("kind").asText()) && prompt.path("captions").asInt() == captions;
  }

  /** The variety of the class's pictures, the base model's being 1. */
  static double variety(JsonNode bleed) {
    for (JsonNode each : bleed.path("prompts")) {
      if (kind("class").test(each) && each.has("div")) {
        return each.get("div").path("after").asDouble() / each.get("div").path("before").asDouble();
      }
    }
    return Double.NaN;
  }

  /** Rank correlation, over caption words, of their bleed with the captions that hold them. */
  static double correlation(JsonNode bleed) {
    List<double[]> words = new ArrayList<>();
    for (JsonNode each : bleed.path("prompts")) {
      if (WORDS.contains(each.path("kind").asText())) {
        words.add(new double[] {each.path("captions").asDouble(), each.path("bleed").asDouble()});
      }
    }
    return words.size() < 3
        ? Double.NaN
        : new SpearmansCorrelation()
            .correlation(
                words.stream().mapToDouble(w -> w[0]).toArray(),
                words.stream().mapToDouble(w -> w[1]).toArray());
  }

  /** A measure of each run of a cell, at the end. */
  Estimate atEnd(String cell, ToDoubleFunction<JsonNode> measure) {
    return at(cell, plan.measuredAt().size() - 1, measure);
  }

  /** A measure of each run of a cell, at one of the steps that are measured. */
  Estimate at(String cell, int at, ToDoubleFunction<JsonNode> measure) {
    return Estimate.of(runs(cell).stream().map(run -> value(run, at, measure)).toList());
  }

  /** How much the runs of a cell have learnt by then. */
  Estimate learntAt(String cell, int at) {
    return Estimate.of(runs(cell).stream().map(run -> learnt(run, at)).toList());
  }

  private double value(Run run, int at, ToDoubleFunction<JsonNode> measure) {
    return measure.applyAsDouble(point(run, at).path("bleed"));
  }

  /** One cell less another, of the runs that both have, at the end. */
  Estimate difference(String cell, String other, ToDoubleFunction<JsonNode> measure) {
    int end = plan.measuredAt().size() - 1;
    return Estimate.of(
        runs(cell).stream()
            .filter(run -> runs(other).contains(in(run, other)))
            .map(run -> value(run, end, measure) - value(in(run, other), end, measure))
            .toList());
  }

  /** The same of what is learnt. */
  Estimate differenceLearnt(String cell, String other) {
    int end = plan.measuredAt().size() - 1;
    return Estimate.of(
        runs(cell).stream()
            .filter(run -> runs(other).contains(in(run, other)))
            .map(run -> learnt(run, end) - learnt(in(run, other), end))
            .toList());
  }

  private static Run in(Run run, String cell) {
    return new Run(run.subject(), cell, run.seed());
  }

  /** What all of these cells have learnt of a subject by the end at least, the same seed. */
  private double fidelity(Run run, List<String> cells) {
    int end = plan.measuredAt().size() - 1;
    return cells.stream()
        .map(cell -> in(run, cell))
        .filter(each -> results.has(each))
        .mapToDouble(each -> learnt(each, end))
        .min()
        .orElse(Double.NaN);
  }

  /**
   * A measure of the runs of a cell where they have learnt as much as the slowest of these cells by
   * its end: on straight lines between the steps that were measured.
   */
  Estimate atEqualFidelity(String cell, List<String> cells, ToDoubleFunction<JsonNode> measure) {
    return Estimate.of(
        runs(cell).stream().map(run -> interpolated(run, fidelity(run, cells), measure)).toList());
  }

  private double interpolated(Run run, double wanted, ToDoubleFunction<JsonNode> measure) {
    double learnt = 0;
    double value = 0; // nothing is learnt and nothing moved before the first step
    for (int at : IntStream.range(0, plan.measuredAt().size()).toArray()) {
      double next = learnt(run, at);
      double there = value(run, at, measure);
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
