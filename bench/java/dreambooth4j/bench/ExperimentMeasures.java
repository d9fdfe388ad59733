package dreambooth4j.bench;

import static java.util.stream.Collectors.toList;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.bench.ExperimentPlan.Run;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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

  /**
   * How far a word of a subject's captions, or one that no caption names, went by the end.
   *
   * @param captions of the subject that hold it; 0 if none
   * @param baseCaptions captions of the base model's training that hold it
   * @param towards over seeds
   */
  record Word(String subject, String prompt, int captions, int baseCaptions, Estimate towards) {
    boolean isSame(Word other) {
      return subject.equals(other.subject) && prompt.equals(other.prompt);
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
    return (run, at) -> mean(prompts(run, at, prompts), column);
  }

  private static double mean(Stream<JsonNode> prompts, String column) {
    return prompts.mapToDouble(each -> each.path(column).asDouble()).average().orElse(Double.NaN);
  }

  /** The rows of some prompts in a run's bleed report. */
  private Stream<JsonNode> prompts(Run run, int at, Predicate<JsonNode> which) {
    return point(run, at).path("bleed").path("prompts").valueStream().filter(which);
  }

  static Predicate<JsonNode> ofClass() {
    return kind("class");
  }

  /** Words of captions, the class aside. */
  static Predicate<JsonNode> ofWords() {
    return prompt -> WORDS.contains(prompt.path("kind").asText());
  }

  /** Words that a quarter of the captions hold, and two of them at least. */
  static Predicate<JsonNode> ofFrequentWords() {
    return kind("frequent");
  }

  /** The other words of the captions. */
  static Predicate<JsonNode> ofRareWords() {
    return kind("rare");
  }

  /** Words that no caption names: the plan's controls, or a cell's own. */
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
    return (run, at) ->
        prompts(run, at, ofClass())
            .map(each -> each.path("div"))
            .mapToDouble(each -> each.path("after").asDouble() / each.path("before").asDouble())
            .findFirst()
            .orElse(Double.NaN);
  }

  /** How alike pictures of the class and of the subject are (PRES), less the base model's. */
  Measure likeness() {
    return (run, at) -> {
      JsonNode pres = point(run, at).path("bleed").path("pres");
      return pres.path("after").asDouble(Double.NaN) - pres.path("before").asDouble(Double.NaN);
    };
  }

  /** How far pictures of the class went towards the subject's, in the base model's features. */
  Measure picturesTowards() {
    return (run, at) ->
        prompts(run, at, ofClass())
            .mapToDouble(each -> each.path("pictures_towards").asDouble(Double.NaN))
            .findFirst()
            .orElse(Double.NaN);
  }

  /** Rank correlation, over these words, of how far they went with a number of each. */
  Measure correlation(Predicate<JsonNode> words, ToDoubleFunction<JsonNode> number) {
    return (run, at) -> {
      List<JsonNode> rows = prompts(run, at, words).toList();
      return rows.size() < 3
          ? Double.NaN
          : new SpearmansCorrelation()
              .correlation(
                  rows.stream().mapToDouble(number).toArray(),
                  rows.stream().mapToDouble(each -> each.path("towards").asDouble()).toArray());
    };
  }

  /** How many captions of the subject hold a word. */
  static double captions(JsonNode prompt) {
    return prompt.path("captions").asDouble();
  }

  /** How many captions of the base model's training hold a word. */
  double baseCaptions(JsonNode prompt) {
    return plan.baseWords().getOrDefault(prompt.path("prompt").asText(), 0);
  }

  /**
   * How much further caption words went that the base model never saw than those that it knows: the
   * mean over numbers of captions that hold words of both kinds, so that these are alike.
   */
  Measure neverSeenLessKnown() {
    return (run, at) ->
        prompts(run, at, ofWords())
            .collect(Collectors.groupingBy(ExperimentMeasures::captions, TreeMap::new, toList()))
            .values()
            .stream()
            .mapToDouble(
                alike ->
                    mean(alike.stream().filter(word -> baseCaptions(word) == 0), "towards")
                        - mean(alike.stream().filter(word -> baseCaptions(word) > 0), "towards"))
            .filter(Double::isFinite)
            .average()
            .orElse(Double.NaN);
  }

  /**
   * How far a subject's caption words went to it at the end of a cell, over the part of its
   * captions that hold them: the mean of all words of the same part, and of all seeds.
   */
  SortedMap<Double, Double> towardsByPart(String subject, String cell) {
    SortedMap<Double, List<Double>> all = new TreeMap<>();
    for (Run run : runs(cell)) {
      if (run.subject().equals(subject)) {
        // the class stands in all of them
        double captions =
            prompts(run, end(), each -> true)
                .mapToDouble(ExperimentMeasures::captions)
                .reduce(1, Math::max);
        prompts(run, end(), ofWords())
            .forEach(
                each ->
                    all.computeIfAbsent(captions(each) / captions, part -> new ArrayList<>())
                        .add(each.path("towards").asDouble()));
      }
    }
    SortedMap<Double, Double> means = new TreeMap<>();
    all.forEach((part, values) -> means.put(part, Estimate.of(values).mean()));
    return means;
  }

  /** The words that a cell was asked for, the class among them: a subject's most held first. */
  List<Word> words(String cell) {
    Map<List<String>, List<Double>> towards = new LinkedHashMap<>();
    Map<List<String>, JsonNode> prompts = new LinkedHashMap<>();
    for (Run run : runs(cell)) {
      prompts(run, end(), ofClass().or(ofWords()).or(ofControls()))
          .forEach(
              each -> {
                List<String> key = List.of(run.subject(), each.path("prompt").asText());
                prompts.putIfAbsent(key, each);
                towards
                    .computeIfAbsent(key, word -> new ArrayList<>())
                    .add(each.path("towards").asDouble());
              });
    }
    List<String> subjects = List.copyOf(plan.subjects().keySet());
    List<Word> words = new ArrayList<>();
    prompts.forEach(
        (key, prompt) ->
            words.add(
                new Word(
                    key.get(0),
                    key.get(1),
                    (int) captions(prompt),
                    (int) baseCaptions(prompt),
                    Estimate.of(towards.getOrDefault(key, List.of())))));
    words.sort(
        Comparator.comparing((Word word) -> subjects.indexOf(word.subject()))
            .thenComparing(word -> -word.captions())
            .thenComparing(Word::prompt));
    return words;
  }

  /** A measure of a cell at one of the steps that are measured. */
  Estimate at(String cell, int at, Measure measure) {
    return over(runs(cell), run -> measure.of(run, at));
  }

  /**
   * The mean of a cell at one of the steps that are measured, with the interval of its difference
   * from another cell in the same subjects: the interval holds the other's mean where no difference
   * is found. None where both are the same cell.
   */
  Estimate beside(String cell, String other, int at, Measure measure) {
    Estimate own = at(cell, at, measure);
    double half = cell.equals(other) ? Double.NaN : difference(cell, other, at, measure).half();
    return new Estimate(own.mean(), half, own.count());
  }

  /** A measure of a cell at the end. */
  Estimate atEnd(String cell, Measure measure) {
    return at(cell, end(), measure);
  }

  /** One cell less another at the end, of the subjects and seeds that both have. */
  Estimate difference(String cell, String other, Measure measure) {
    return difference(cell, other, end(), measure);
  }

  private Estimate difference(String cell, String other, int at, Measure measure) {
    return over(both(cell, other), run -> measure.of(run, at) - measure.of(in(run, other), at));
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
