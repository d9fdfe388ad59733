package dreambooth4j.bench;

import static dreambooth4j.bench.ExperimentMeasures.words;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.bench.ExperimentMeasures.Measure;
import dreambooth4j.bench.ExperimentMeasures.Word;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/** What the method's page says, and what was measured of it. */
final class ExperimentClaims {
  /** Colours that captions name: words of one kind. */
  private static final Set<String> COLOURS =
      Set.of("blue", "green", "yellow", "pink", "gray", "red");

  private static final Predicate<JsonNode> OF_COLOURS =
      ExperimentMeasures.ofWords().and(words(COLOURS));

  /** A colour that no caption names; it names a fruit too. */
  private static final String ORANGE = "orange";

  static final int SUPPORTED_ABOVE = 1;
  static final int SUPPORTED_BELOW = -1;
  static final int SUPPORTED_AT_0 = 0;
  static final int NO_VERDICT = 2;

  private final ExperimentMeasures measures;
  private final UnaryOperator<String> name;
  private final Measure learnt;
  private final Measure variety;
  private final Measure bleed;
  private final Measure ofClass;
  private final Measure ofWords;
  private final Measure ofControls;
  private final Measure colours;
  private final Measure otherColours;
  private final List<Map<String, Object>> all = new ArrayList<>();

  /**
   * Of what was measured.
   *
   * @param name of a cell in figures
   */
  ExperimentClaims(ExperimentMeasures measures, UnaryOperator<String> name) {
    this.measures = measures;
    this.name = name;
    learnt = measures.learnt();
    variety = measures.variety();
    bleed = measures.bleed(ExperimentMeasures.ofClass());
    ofClass = measures.towards(ExperimentMeasures.ofClass());
    ofWords = measures.towards(ExperimentMeasures.ofWords());
    ofControls = measures.towards(ExperimentMeasures.ofControls());
    colours = measures.towards(OF_COLOURS);
    otherColours =
        measures.towards(ExperimentMeasures.ofControls().and(words(Set.of(ORANGE)).negate()));
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
    List<Word> words = measures.words("none");
    claim(
        "(a) Trained with captions and without class images, all other words of the captions are"
            + " influenced.",
        Evidence.counted(
            "words of the captions, the class among them, that moved towards the subject",
            words.stream().filter(word -> word.captions() > 0).toList(),
            "supports it"),
        new Evidence(
            "movement of colours that captions name minus that of colours that none names (purple,"
                + " orange, teal, brown): words of the same kind",
            measures.atEnd("none-colours", colours.less(ofControls)),
            SUPPORTED_ABOVE),
        new Evidence(
            "the same without orange, which names a fruit too",
            measures.atEnd("none-colours", colours.less(otherColours)),
            SUPPORTED_ABOVE),
        new Evidence(
            "movement of all caption words minus that of six unrelated words (these are things,"
                + " those mostly colours and parts: the difference may come of that)",
            measures.atEnd("none", ofWords.less(ofControls)),
            NO_VERDICT),
        Evidence.counted(
            "unrelated words that did so too",
            words.stream().filter(word -> word.captions() == 0).toList(),
            "not a matter of captions alone"));
    claim(
        "(b) A word is influenced the more the more captions it stands in.",
        new Evidence(
            "rank correlation, within each subject, of a word's movement with the number of"
                + " captions that hold it, without class images",
            measures.atEnd(
                "none",
                measures.correlation(ExperimentMeasures.ofWords(), ExperimentMeasures::captions)),
            SUPPORTED_ABOVE),
        new Evidence(
            "the same of colours alone, which are words of one kind, 3 to 5 a subject",
            measures.atEnd("none", measures.correlation(OF_COLOURS, ExperimentMeasures::captions)),
            SUPPORTED_ABOVE),
        new Evidence(
            "movement of frequent words (in a quarter of the captions or more, and in two at least)"
                + " minus that of rare ones (of three subjects pink and yellow only), without class"
                + " images",
            measures.atEnd(
                "none",
                measures
                    .towards(ExperimentMeasures.ofFrequentWords())
                    .less(measures.towards(ExperimentMeasures.ofRareWords()))),
            NO_VERDICT));
    claim(
        "(c) Words rare in the base model's training are more susceptible.",
        new Evidence(
            "movement of words that the base model has never seen (fur, fangs, porcelain, rocks,"
                + " grass, water, bricks) minus that of words that it knows and as many captions of"
                + " the subject hold, without class images",
            measures.atEnd("none", measures.neverSeenLessKnown()),
            SUPPORTED_ABOVE),
        new Evidence(
            "the same of LoRAs without class images (no verdict: of teapot and plushie it sets a"
                + " material and things against colours, and it was chosen after its number was"
                + " seen)",
            measures.atEnd("lora-none", measures.neverSeenLessKnown()),
            NO_VERDICT),
        new Evidence(
            "rank correlation, within each subject, of a word's movement with the number of the"
                + " base model's captions that hold it, without class images",
            measures.atEnd(
                "none", measures.correlation(ExperimentMeasures.ofWords(), measures::baseCaptions)),
            SUPPORTED_BELOW));
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
            SUPPORTED_ABOVE),
        new Evidence(
            "movement of caption words: 16 images minus 1",
            measures.difference("images-16", "images-1", ofWords),
            NO_VERDICT));
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
            "movement of unrelated words: the same two",
            measures.difference("weight-0.4", "one-prompt", ofControls),
            NO_VERDICT),
        new Evidence(
            "variety of the class's pictures: the same two",
            measures.difference("weight-0.4", "one-prompt", variety),
            NO_VERDICT),
        new Evidence(
            "what weight 0.4 spares colours that captions name minus what it spares colours that"
                + " none names: words of the same kind",
            measures.difference("none-colours", "images-colours", colours.less(ofControls)),
            SUPPORTED_ABOVE),
        new Evidence(
            "the same without orange",
            measures.difference("none-colours", "images-colours", colours.less(otherColours)),
            SUPPORTED_ABOVE),
        new Evidence(
            "what weight 0.4 spares all caption words minus what it spares the six unrelated words"
                + " (of another kind)",
            measures.difference("none", "weight-0.4", ofWords.less(ofControls)),
            NO_VERDICT));
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
            "movement of caption words: weight 0.01 minus 0.4",
            measures.difference("weight-0.01", "weight-0.4", ofWords),
            SUPPORTED_ABOVE),
        new Evidence(
            "movement of the class: weight 0.01 minus no class images (0 if they are ignored)",
            measures.difference("weight-0.01", "none", ofClass),
            SUPPORTED_AT_0));
    claim(
        "(g) 0.15 to 0.4 is the usual range. Only its lower end is measured:",
        new Evidence(
            "movement of the class: weight 0.15 minus 0.01",
            measures.difference("weight-0.15", "weight-0.01", ofClass),
            SUPPORTED_BELOW),
        new Evidence(
            "movement of caption words: weight 0.15 minus 0.01",
            measures.difference("weight-0.15", "weight-0.01", ofWords),
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
        "What nobody made a claim of: the anchor, alone and with class images (its strength was not"
            + " tuned), LoRAs, and the base model's predictions. Where both have learnt equally"
            + " much:",
        equallyLearnt("the class", ofClass, "anchor", "none"),
        equallyLearnt("caption words", ofWords, "anchor", "none"),
        equallyLearnt("the class", ofClass, "anchor-images", "weight-0.4"),
        equallyLearnt("caption words", ofWords, "anchor-images", "weight-0.4"),
        equallyLearnt("the class", ofClass, "anchor-images", "weight-1"),
        equallyLearnt("caption words", ofWords, "anchor-images", "weight-1"),
        equallyLearnt("the class", ofClass, "lora-images", "lora-none"),
        equallyLearnt("caption words", ofWords, "lora-images", "lora-none"),
        equallyLearnt("the class", ofClass, "lora-prediction", "lora-none"),
        equallyLearnt("caption words", ofWords, "lora-prediction", "lora-none"),
        equallyLearnt("the class", ofClass, "lora-prediction", "lora-images"));
  }

  /** One setting minus another, of which no claim says anything. */
  private Evidence equallyLearnt(String what, Measure measure, String cell, String other) {
    return new Evidence(
        "movement of %s: %s minus %s".formatted(what, name.apply(cell), name.apply(other)),
        measures.differenceEquallyLearnt(cell, other, measure),
        NO_VERDICT);
  }

  /** A number, and where its claim says that it is; NO_VERDICT where it says nothing of it. */
  record Evidence(String what, String measured, String verdict) {
    Evidence(String what, Estimate measured, int expected) {
      this(what, measured.toString(), verdict(measured, expected));
    }

    /** How many of these words moved towards the subject, and which did least. */
    static Evidence counted(String what, List<Word> words, String verdictOfAll) {
      if (words.isEmpty()) {
        return new Evidence(what, Estimate.of(List.of()), NO_VERDICT);
      }
      Word least =
          Collections.min(words, Comparator.comparing((Word word) -> word.towards().mean()));
      long moved = words.stream().filter(word -> word.towards().mean() > 0).count();
      return new Evidence(
          what,
          "%d of %d; the least %s (%s, of %s)"
              .formatted(
                  moved,
                  words.size(),
                  new Estimate(least.towards().mean(), Double.NaN, 1),
                  least.prompt(),
                  least.subject()),
          moved == words.size() ? verdictOfAll : "not all");
    }

    private static String verdict(Estimate measured, int expected) {
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
      rows.add(Map.of("what", each.what, "measured", each.measured, "verdict", each.verdict));
    }
    all.add(Map.of("claim", claim, "evidence", rows, "byConstruction", ""));
  }
}
