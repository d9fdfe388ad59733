package dreambooth4j.bench;

import static dreambooth4j.bench.ExperimentMeasures.words;

import dreambooth4j.bench.ExperimentMeasures.Measure;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What the method's page says, and what was measured of it. */
final class ExperimentClaims {
  /** Words that as many captions of the subject hold, known and unknown to the base model. */
  private static final List<String> KNOWN = List.of("beard", "hair", "red");

  private static final List<String> UNKNOWN = List.of("fur", "fangs", "porcelain");

  private final ExperimentMeasures measures;
  private final Measure learnt;
  private final Measure variety;
  private final Measure bleed;
  private final Measure ofClass;
  private final Measure ofWords;
  private final Measure ofControls;
  private final List<Map<String, Object>> all = new ArrayList<>();

  ExperimentClaims(ExperimentMeasures measures) {
    this.measures = measures;
    learnt = measures.learnt();
    variety = measures.variety();
    bleed = measures.bleed(ExperimentMeasures.ofClass());
    ofClass = measures.towards(ExperimentMeasures.ofClass());
    ofWords = measures.towards(ExperimentMeasures.ofWords());
    ofControls = measures.towards(ExperimentMeasures.ofControls());
  }

  /** Each claim with its measurements and what they say, for the page's template. */
  List<Map<String, Object>> all() {
    captions();
    numbers();
    weights();
    anchor();
    return all;
  }

  private void captions() {
    claim(
        "(a) Trained with captions and without class images, all other words of the captions are"
            + " influenced.",
        new Evidence(
            "movement of caption words minus that of unrelated words, without class images",
            measures.atEnd("none", ofWords.less(ofControls)),
            1),
        new Evidence(
            "movement of caption words: no class images minus weight 0.4",
            measures.difference("none", "weight-0.4", ofWords),
            1),
        new Evidence(
            "the same, where both have learnt equally much",
            measures.differenceEquallyLearnt("none", "weight-0.4", ofWords),
            1));
    claim(
        "(b) A word is influenced the more the more captions it stands in.",
        new Evidence(
            "rank correlation, within each subject, of a word's movement with the number of"
                + " captions that hold it, without class images",
            measures.atEnd("none", measures.correlation("towards")),
            1));
    claim(
        "(c) Words rare in the base model's training are more susceptible.",
        new Evidence(
            "movement of words that the base model has never seen ("
                + String.join(", ", UNKNOWN)
                + ") minus that of words that it knows ("
                + String.join(", ", KNOWN)
                + "), each in three captions, without class images; three of the subjects",
            measures.atEnd(
                "none", measures.towards(words(UNKNOWN)).less(measures.towards(words(KNOWN)))),
            1));
  }

  private void numbers() {
    claim(
        "(d) One class image a picture may be too few for small sets: the class drifts to what"
            + " those images show.",
        new Evidence(
            "variety of the class's pictures: 1 image minus 4",
            measures.difference("images-1", "weight-0.4", variety),
            -1),
        new Evidence(
            "bleed of the class: 1 image minus 4",
            measures.difference("images-1", "weight-0.4", bleed),
            1));
    claim(
        "(e) A larger number captures the class better and reduces that bias.",
        new Evidence(
            "bleed of the class: 16 images minus 1",
            measures.difference("images-16", "images-1", bleed),
            -1),
        new Evidence(
            "variety of the class's pictures: 16 images minus 1",
            measures.difference("images-16", "images-1", variety),
            1));
    all.add(
        Map.of(
            "claim",
            "(f) The number of class images does not change the ratio of class to instance images"
                + " that are seen.",
            "evidence",
            List.of(),
            "byConstruction",
            "True by construction, so not measured: a step shows each of its instance pictures"
                + " beside one class image, however many there are."));
  }

  private void weights() {
    claim(
        "Class images hold the class where the base model had it.",
        new Evidence(
            "movement of the class: weight 0.4 minus no class images",
            measures.difference("weight-0.4", "none", ofClass),
            -1),
        new Evidence(
            "movement of the class: weight 1.0 minus no class images",
            measures.difference("weight-1", "none", ofClass),
            -1));
    claim(
        "(g) A weight of 1.0 is probably too high: results look like the class images.",
        new Evidence(
            "subject learnt: weight 1.0 minus 0.4 (how much results look like class images is not"
                + " measured)",
            measures.difference("weight-1", "weight-0.4", learnt),
            -1));
    claim(
        "(g) A weight of 0.01 is too low: the class images are ignored.",
        new Evidence(
            "movement of the class: weight 0.01 minus 0.4",
            measures.difference("weight-0.01", "weight-0.4", ofClass),
            1),
        new Evidence(
            "movement of the class: weight 0.01 minus no class images (0 if they are ignored)",
            measures.difference("weight-0.01", "none", ofClass),
            0));
    claim(
        "(g) 0.15 to 0.4 is the usual range.",
        new Evidence(
            "movement of the class: weight 0.15 minus 0.01",
            measures.difference("weight-0.15", "weight-0.01", ofClass),
            -1));
  }

  private void anchor() {
    claim(
        "An anchor to the base model's weights does better than class images (arXiv 2505.19519).",
        new Evidence(
            "movement of the class, where both have learnt equally much: anchor minus weight 0.4",
            measures.differenceEquallyLearnt("anchor", "weight-0.4", ofClass),
            -1),
        new Evidence(
            "subject learnt: anchor minus weight 0.4",
            measures.difference("anchor", "weight-0.4", learnt),
            1));
  }

  /** A number that a claim says is above 0 (1), below it (-1), or about it (0). */
  private record Evidence(String what, Estimate measured, int expected) {
    private String verdict() {
      int sign = measured.sign();
      if (measured.count() < 2) {
        return "not measured";
      }
      if (expected == 0) {
        return sign == 0 ? "no difference found" : "contradicts it";
      }
      return sign == 0 ? "undecided" : sign == expected ? "supports it" : "contradicts it";
    }
  }

  private void claim(String claim, Evidence... evidence) {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (Evidence each : evidence) {
      rows.add(Map.of("what", each.what, "measured", each.measured, "verdict", each.verdict()));
    }
    all.add(Map.of("claim", claim, "evidence", rows, "byConstruction", ""));
  }
}
