package dreambooth4j.bench;

import static dreambooth4j.bench.ExperimentMeasures.kind;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ToDoubleFunction;

/** What the method's page says, and what was measured of it. */
final class ExperimentClaims {
  /** Words that as many captions of the subject hold, known and unknown to the base model. */
  private static final Set<String> KNOWN = Set.of("beard", "hair", "red");

  private static final Set<String> UNKNOWN = Set.of("fur", "fangs", "porcelain");

  private final ExperimentMeasures measures;
  private final ToDoubleFunction<JsonNode> ofClass;
  private final ToDoubleFunction<JsonNode> ofWords;
  private final ToDoubleFunction<JsonNode> ofControls;
  private final List<Map<String, Object>> all = new ArrayList<>();

  ExperimentClaims(ExperimentMeasures measures) {
    this.measures = measures;
    ofClass = measures.bleed(kind("class"));
    ofWords = measures.bleed(each -> ExperimentMeasures.WORDS.contains(each.path("kind").asText()));
    ofControls = measures.bleed(kind("control"));
  }

  /** Each claim with its measurements and what they say, for the page's template. */
  List<Map<String, Object>> all() {
    claim(
        "Trained with captions and without class images, all other words of the captions are"
            + " influenced.",
        new Evidence(
            "bleed of caption words less that of unrelated prompts, without class images",
            measures.atEnd("none", difference(ofWords, ofControls)),
            1),
        new Evidence(
            "bleed of caption words, without class images less with (weight 0.4)",
            measures.difference("none", "weight-0.4", ofWords),
            1));
    claim(
        "A word is influenced the more the more captions it stands in.",
        new Evidence(
            "rank correlation of a word's bleed with the captions that hold it, without class"
                + " images",
            measures.atEnd("none", ExperimentMeasures::correlation),
            1));
    claim(
        "Words rare in the base model's training are more susceptible.",
        new Evidence(
            "bleed of words that it has never seen less that of words that it has, each in three"
                + " captions, without class images",
            measures.atEnd("none", difference(words(UNKNOWN), words(KNOWN))),
            1));
    claim(
        "One class image a picture may be too few for small sets: the class drifts to what those"
            + " images show.",
        new Evidence(
            "variety of the class's pictures, the base model's being 1: one image less four",
            measures.difference("images-1", "weight-0.4", ExperimentMeasures::variety),
            -1));
    claim(
        "A larger number captures the class better and reduces that bias.",
        new Evidence(
            "bleed of the class: sixteen images less one",
            measures.difference("images-16", "images-1", ofClass),
            -1),
        new Evidence(
            "variety of the class's pictures: sixteen images less one",
            measures.difference("images-16", "images-1", ExperimentMeasures::variety),
            1));
    claim(
        "A weight of 1.0 is probably too high: results look like the class images.",
        new Evidence(
            "what is learnt of the subject: weight 1.0 less 0.4",
            measures.differenceLearnt("weight-1", "weight-0.4"),
            -1));
    claim(
        "A weight of 0.01 is too low: the class images are ignored.",
        new Evidence(
            "bleed of the class: weight 0.01 less 0.4",
            measures.difference("weight-0.01", "weight-0.4", ofClass),
            1));
    claim(
        "An anchor to the base model's weights does better than class images (arXiv 2505.19519).",
        new Evidence(
            "bleed of the class: anchor less class images (weight 0.4)",
            measures.difference("anchor", "weight-0.4", ofClass),
            -1),
        new Evidence(
            "what is learnt of the subject: anchor less class images",
            measures.differenceLearnt("anchor", "weight-0.4"),
            1));
    return all;
  }

  /** A number that a claim says is above 0 (1) or below it (-1). */
  private record Evidence(String what, Estimate measured, int expected) {
    private String verdict() {
      int sign = measured.sign();
      return measured.count() < 2
          ? "not measured"
          : sign == 0 ? "undecided" : sign == expected ? "as claimed" : "the other way round";
    }
  }

  private void claim(String claim, Evidence... evidence) {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (Evidence each : evidence) {
      rows.add(Map.of("what", each.what, "measured", each.measured, "verdict", each.verdict()));
    }
    all.add(Map.of("claim", claim, "evidence", rows));
  }

  private ToDoubleFunction<JsonNode> words(Set<String> some) {
    return measures.bleed(each -> some.contains(each.path("prompt").asText()));
  }

  private static ToDoubleFunction<JsonNode> difference(
      ToDoubleFunction<JsonNode> one, ToDoubleFunction<JsonNode> other) {
    return bleed -> one.applyAsDouble(bleed) - other.applyAsDouble(bleed);
  }
}
