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

  private static final int SUPPORTED_ABOVE = 1;
  private static final int SUPPORTED_BELOW = -1;
  private static final int SUPPORTED_AT_0 = 0;
  private static final int NO_VERDICT = 2;

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
            "movement of caption words, on average (not of each: in every subject some moved less"
                + " than one of the unrelated words), minus that of unrelated words, without class"
                + " images",
            measures.atEnd("none", ofWords.less(ofControls)),
            SUPPORTED_ABOVE));
    claim(
        "(b) A word is influenced the more the more captions it stands in.",
        new Evidence(
            "rank correlation, within each subject, of a word's movement with the number of"
                + " captions that hold it, without class images",
            measures.atEnd("none", measures.correlation("towards")),
            SUPPORTED_ABOVE));
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
            SUPPORTED_ABOVE));
  }

  private void numbers() {
    claim(
        "(d) One class image a picture may be too few for small sets: the class drifts to what"
            + " those images show.",
        new Evidence(
            "variety of the class's pictures: 1 image minus 4",
            measures.difference("images-1", "weight-0.4", variety),
            SUPPORTED_BELOW),
        new Evidence(
            "bleed of the class: 1 image minus 4",
            measures.difference("images-1", "weight-0.4", bleed),
            SUPPORTED_ABOVE));
    claim(
        "(e) A larger number captures the class better and reduces that bias.",
        new Evidence(
            "bleed of the class: 16 images minus 1",
            measures.difference("images-16", "images-1", bleed),
            SUPPORTED_BELOW),
        new Evidence(
            "variety of the class's pictures: 16 images minus 1",
            measures.difference("images-16", "images-1", variety),
            SUPPORTED_ABOVE));
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
        "Class images hold the class and other words where the base model had them.",
        new Evidence(
            "movement of the class: weight 0.4 minus no class images",
            measures.difference("weight-0.4", "none", ofClass),
            SUPPORTED_BELOW),
        new Evidence(
            "movement of the class: weight 1.0 minus no class images",
            measures.difference("weight-1", "none", ofClass),
            SUPPORTED_BELOW),
        new Evidence(
            "movement of caption words: weight 0.4 minus no class images",
            measures.difference("weight-0.4", "none", ofWords),
            SUPPORTED_BELOW),
        new Evidence(
            "the same, where both have learnt equally much",
            measures.differenceEquallyLearnt("weight-0.4", "none", ofWords),
            SUPPORTED_BELOW));
    claim(
        "Images made from each picture's caption hold its words better than others do: the idea of"
            + " the method.",
        new Evidence(
            "movement of caption words: captions' images minus those of one prompt, both at 0.4",
            measures.difference("weight-0.4", "one-prompt", ofWords),
            SUPPORTED_BELOW),
        new Evidence(
            "what weight 0.4 spares caption words minus what it spares unrelated words",
            measures.difference("none", "weight-0.4", ofWords.less(ofControls)),
            SUPPORTED_ABOVE));
    claim(
        "(g) A weight of 1.0 is probably too high: results look like the class images. Whether they"
            + " do is not measured; what is:",
        new Evidence(
            "subject learnt: weight 1.0 minus 0.4",
            measures.difference("weight-1", "weight-0.4", learnt),
            NO_VERDICT),
        new Evidence(
            "movement of the class, where both have learnt equally much: weight 1.0 minus 0.4",
            measures.differenceEquallyLearnt("weight-1", "weight-0.4", ofClass),
            NO_VERDICT),
        new Evidence(
            "movement of caption words, equally learnt: weight 1.0 minus 0.4",
            measures.differenceEquallyLearnt("weight-1", "weight-0.4", ofWords),
            NO_VERDICT));
    claim(
        "(g) A weight of 0.01 is too low: the class images are ignored.",
        new Evidence(
            "movement of the class: weight 0.01 minus 0.4",
            measures.difference("weight-0.01", "weight-0.4", ofClass),
            SUPPORTED_ABOVE),
        new Evidence(
            "movement of the class: weight 0.01 minus no class images (0 if they are ignored)",
            measures.difference("weight-0.01", "none", ofClass),
            SUPPORTED_AT_0));
    claim(
        "(g) 0.15 to 0.4 is the usual range.",
        new Evidence(
            "movement of the class: weight 0.15 minus 0.01",
            measures.difference("weight-0.15", "weight-0.01", ofClass),
            SUPPORTED_BELOW));
  }

  private void anchor() {
    claim(
        "An anchor to the base model's weights does better than class images (arXiv 2505.19519).",
        new Evidence(
            "movement of the class, where both have learnt equally much: anchor minus weight 0.4",
            measures.differenceEquallyLearnt("anchor", "weight-0.4", ofClass),
            SUPPORTED_BELOW),
        new Evidence(
            "movement of caption words, equally learnt: anchor minus weight 0.4",
            measures.differenceEquallyLearnt("anchor", "weight-0.4", ofWords),
            SUPPORTED_BELOW),
        new Evidence(
            "subject learnt: anchor minus weight 0.4 (depends on the anchor's strength, which was"
                + " not tuned)",
            measures.difference("anchor", "weight-0.4", learnt),
            NO_VERDICT));
    claim(
        "More than one of them at once, and the base model's predictions, which nobody made a claim"
            + " of:",
        new Evidence(
            "movement of the class, equally learnt: anchor and images minus weight 0.4",
            measures.differenceEquallyLearnt("anchor-images", "weight-0.4", ofClass),
            NO_VERDICT),
        new Evidence(
            "movement of caption words, equally learnt: anchor and images minus weight 0.4",
            measures.differenceEquallyLearnt("anchor-images", "weight-0.4", ofWords),
            NO_VERDICT),
        new Evidence(
            "movement of the class, equally learnt: LoRA by prior prediction minus LoRA at 0.4",
            measures.differenceEquallyLearnt("lora-prediction", "lora-images", ofClass),
            NO_VERDICT));
  }

  /** A number, and where its claim says that it is; NO_VERDICT where it says nothing of it. */
  private record Evidence(String what, Estimate measured, int expected) {
    private String verdict() {
      int sign = measured.sign();
      if (measured.count() < 2) {
        return "not measured";
      }
      if (expected == NO_VERDICT) {
        return sign == 0 ? "no difference found" : "a difference";
      }
      if (expected == SUPPORTED_AT_0) {
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
