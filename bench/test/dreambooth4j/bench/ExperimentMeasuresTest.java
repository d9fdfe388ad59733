package dreambooth4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.bench.ExperimentMeasures.Measure;
import dreambooth4j.bench.ExperimentMeasures.Word;
import dreambooth4j.bench.ExperimentPlan.Run;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two subjects, two seeds, two cells, with numbers that can be worked out by hand. */
class ExperimentMeasuresTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private ExperimentPlan plan;
  private ExperimentResults results;
  private ExperimentMeasures measures;

  @BeforeEach
  void plan() throws IOException {
    Path file = folder.resolve("experiment.yaml");
    Files.writeString(
        file,
        """
        base: base
        seeds: [1, 2]
        measured_at: [50, 100]
        train: {}
        bleed: {}
        controls: [pizza]
        subjects: {santa: {class_token: man}, toy: {class_token: bear}}
        untouched: {}
        cells:
          none: {name: none, with_prior_preservation: false}
          some: {name: some, controls: [purple], num_class_images_per: 4, prior_loss_weight: 1.0}
          one: {name: one prompt, class_prompt: "[class]", prior_loss_weight: 0.4}
        base_words: {red: 100, blue: 10}
        """);
    plan = ExperimentPlan.read(file);
    results = ExperimentResults.read(folder.resolve("results.jsonl.gz"));
    measures = new ExperimentMeasures(plan, results);
    for (long seed : plan.seeds()) {
      add("santa", "untouched", seed, 0.4, 0.2);
      add("toy", "untouched", seed, 0.4, 0.2);
    }
    // How far the class moved by the end: subjects differ by 0.4, cells by 0.1 and 0.3.
    run("santa", "none", 1, 0.30, 0.10, 0.40);
    run("santa", "none", 2, 0.30, 0.10, 0.60);
    run("toy", "none", 1, 0.30, 0.10, 0.90);
    run("toy", "none", 2, 0.30, 0.10, 0.90);
    run("santa", "some", 1, 0.30, 0.15, 0.30);
    run("santa", "some", 2, 0.30, 0.15, 0.50);
    run("toy", "some", 1, 0.30, 0.15, 0.60);
    run("toy", "some", 2, 0.30, 0.15, 0.60);
  }

  private ObjectNode add(String subject, String cell, long seed, double first, double second)
      throws IOException {
    ObjectNode result = JSON.createObjectNode();
    ArrayNode points = result.putArray("points");
    points.addObject().put("step", 50).put("instance_loss", first);
    points.addObject().put("step", 100).put("instance_loss", second);
    results.add(new Run(subject, cell, seed), result);
    return result;
  }

  /** Half of the class's movement after 50 steps; words at the end only. */
  private void run(
      String subject, String cell, long seed, double first, double second, double ofClass)
      throws IOException {
    ObjectNode result = add(subject, cell, seed, first, second);
    ArrayNode before = prompts(result, 0);
    prompt(before, "class of it", "class", 4, ofClass / 2);
    ArrayNode end = prompts(result, 1);
    prompt(end, "class of it", "class", 4, ofClass);
    prompt(end, "red", "frequent", 2, 0.2);
    prompt(end, "fur", "frequent", 2, 0.5);
    prompt(end, "blue", "rare", 1, 0.1);
    prompt(end, "rocks", "rare", 1, 0.2);
    prompt(end, "background", "frequent", 4, 0.9);
    prompt(end, "pizza", "asked", 0, 0.05);
  }

  private static ArrayNode prompts(ObjectNode result, int at) {
    return ((ObjectNode) result.get("points").get(at)).putObject("bleed").putArray("prompts");
  }

  private static void prompt(
      ArrayNode prompts, String name, String kind, int captions, double towards) {
    prompts
        .addObject()
        .put("prompt", name)
        .put("kind", kind)
        .put("captions", captions)
        .put("bleed", 2 * towards)
        .put("towards", towards);
  }

  private Measure ofClass() {
    return measures.towards(ExperimentMeasures.ofClass());
  }

  @Test
  void shouldCountASubjectAsTheMeanOfItsSeeds() {
    Estimate estimate = measures.atEnd("none", ofClass());

    // 0.5 and 0.9: t of 1 degree of freedom 12.706205, times 0.2
    assertThat(estimate.mean()).isEqualTo(0.7, within(1e-12));
    assertThat(estimate.half()).isEqualTo(2.541241, within(1e-6));
    assertThat(estimate.count()).isEqualTo(2);
  }

  @Test
  void shouldCompareWithinSubjects() {
    Estimate estimate = measures.difference("some", "none", ofClass());

    // −0.1 and −0.3: half is 12.706205 × 0.1
    assertThat(estimate.mean()).isEqualTo(-0.2, within(1e-12));
    assertThat(estimate.half()).isEqualTo(1.270620, within(1e-6));
  }

  @Test
  void shouldDrawTheIntervalOfTheDifferenceAroundACellsOwnMean() {
    Estimate beside = measures.beside("some", "none", 1, ofClass());

    assertThat(beside.mean()).isEqualTo(0.5, within(1e-12));
    assertThat(beside.half()).isEqualTo(1.270620, within(1e-6));
    assertThat(measures.beside("none", "none", 1, ofClass()).half()).isNaN();
  }

  @Test
  void shouldSayWhatPartOfTheUntouchedLossIsGone() {
    Run run = new Run("santa", "some", 1);

    assertThat(measures.learnt().of(run, 0)).isEqualTo(0.25, within(1e-12));
    assertThat(measures.learnt().of(run, 1)).isEqualTo(0.25, within(1e-12));
    assertThat(measures.learnt().of(new Run("santa", "none", 1), 1)).isEqualTo(0.5, within(1e-12));
  }

  @Test
  void shouldCompareWhereBothHaveLearntEquallyMuch() {
    // "some" ends at 0.25, where "none" was after 50 steps, with half of its movement: 0.25, 0.45;
    // "some" is there after 50 steps too: 0.2, 0.3.
    Estimate estimate = measures.differenceEquallyLearnt("some", "none", ofClass());

    assertThat(estimate.mean()).isEqualTo(-0.1, within(1e-12));
    assertThat(estimate.half()).isEqualTo(12.706205 * 0.05, within(1e-6));
  }

  @Test
  void shouldCompareWordsNeverSeenWithKnownOnesOfAsManyCaptions() {
    // fur − red = 0.3 in two captions, rocks − blue = 0.1 in one; background is alone in four
    assertThat(measures.neverSeenLessKnown().of(new Run("santa", "none", 1), 1))
        .isEqualTo(0.2, within(1e-12));
  }

  @Test
  void shouldCorrelateMovementWithCaptions() {
    Run run = new Run("santa", "none", 1);

    // ranks of captions 3.5 3.5 1.5 1.5 5, of movement 2.5 4 1 2.5 5: 8 / sqrt(9 × 9.5)
    assertThat(
            measures
                .correlation(ExperimentMeasures.ofWords(), ExperimentMeasures::captions)
                .of(run, 1))
        .isEqualTo(0.865181, within(1e-6));
  }

  @Test
  void shouldListWordsWithTheirCaptions() {
    assertThat(measures.words("none").stream().filter(word -> word.subject().equals("toy")))
        .extracting(Word::prompt, Word::captions, Word::baseCaptions)
        .contains(tuple("red", 2, 100), tuple("fur", 2, 0), tuple("pizza", 0, 0));
  }

  @Test
  void shouldAskACellForItsOwnControls() {
    assertThat(plan.controls("none")).containsExactly("pizza");
    assertThat(plan.controls("some")).containsExactly("purple");
  }

  @Test
  void shouldNameACellByItsClassImagesAndTheirWeight() {
    assertThat(plan.amount("none")).isEqualTo("none");
    assertThat(plan.amount("some")).isEqualTo("4 at 1.0");
    assertThat(plan.amount("one")).isEqualTo("one prompt at 0.4");
  }
}
