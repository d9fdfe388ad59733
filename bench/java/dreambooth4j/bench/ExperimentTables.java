package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.bench.ExperimentMeasures.Measure;
import dreambooth4j.bench.ExperimentMeasures.Word;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;

/** The tables of an experiment's page: a row a setting, and a row a word. */
final class ExperimentTables {
  private final ExperimentPlan plan;
  private final ExperimentMeasures measures;
  private final Measure ofClass;
  private final Measure ofWords;
  private final Measure ofFrequent;
  private final Measure ofRare;
  private final Measure ofControls;

  ExperimentTables(ExperimentPlan plan, ExperimentMeasures measures) {
    this.plan = plan;
    this.measures = measures;
    ofClass = measures.towards(ExperimentMeasures.ofClass());
    ofWords = measures.towards(ExperimentMeasures.ofWords());
    ofFrequent = measures.towards(ExperimentMeasures.ofFrequentWords());
    ofRare = measures.towards(ExperimentMeasures.ofRareWords());
    ofControls = measures.towards(ExperimentMeasures.ofControls());
  }

  /**
   * What each of these cells gave: what was learnt, what moved, and what variety is left.
   *
   * @param without the one that the others are compared with, without class images
   */
  List<Map<String, Object>> settings(List<String> cells, String without) {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (String cell : cells) {
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("cell", plan.name(cell));
      row.put("learnt", measures.atEnd(cell, measures.learnt()));
      row.put("bleed", bleed(cell, ExperimentMeasures.ofClass()));
      row.put("class", measures.atEnd(cell, ofClass));
      row.put("words", measures.atEnd(cell, ofWords));
      row.put("controls", measures.atEnd(cell, ofControls));
      row.put("equalClass", measures.atEquallyLearnt(cell, cells, ofClass));
      row.put("equalWords", measures.atEquallyLearnt(cell, cells, ofWords));
      row.put("equalControls", measures.atEquallyLearnt(cell, cells, ofControls));
      if (!cell.equals(without)) {
        row.put("less", less(cell, without));
      }
      row.put("variety", measures.atEnd(cell, measures.variety()));
      row.put("likeness", measures.atEnd(cell, measures.likeness()));
      row.put("pictures", measures.atEnd(cell, measures.picturesTowards()));
      row.put("frequentBleed", bleed(cell, ExperimentMeasures.ofFrequentWords()));
      row.put("rareBleed", bleed(cell, ExperimentMeasures.ofRareWords()));
      row.put("controlBleed", bleed(cell, ExperimentMeasures.ofControls()));
      row.put("frequent", measures.atEnd(cell, ofFrequent));
      row.put("rare", measures.atEnd(cell, ofRare));
      row.put("frequentLessRare", measures.atEnd(cell, ofFrequent.less(ofRare)));
      row.put("neverSeenLessKnown", measures.atEnd(cell, measures.neverSeenLessKnown()));
      rows.add(row);
    }
    return rows;
  }

  /** A cell minus another: after as many steps, and where both have learnt equally much. */
  private Map<String, Object> less(String cell, String other) {
    Map<String, Object> row = new LinkedHashMap<>();
    row.put("learnt", measures.difference(cell, other, measures.learnt()));
    row.put("class", measures.difference(cell, other, ofClass));
    row.put("words", measures.difference(cell, other, ofWords));
    row.put("controls", measures.difference(cell, other, ofControls));
    row.put("equalClass", measures.differenceEquallyLearnt(cell, other, ofClass));
    row.put("equalWords", measures.differenceEquallyLearnt(cell, other, ofWords));
    return row;
  }

  /** Every word that was asked for, with how far it went in two cells. */
  List<Map<String, Object>> words(String cell, String other) {
    List<Map<String, Object>> rows = new ArrayList<>();
    List<Word> others = measures.words(other);
    for (Word word : measures.words(cell)) {
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("subject", word.subject());
      row.put("word", word.prompt());
      row.put("captions", word.captions() == 0 ? "–" : word.captions());
      row.put("base", String.format(Locale.ROOT, "%,d", word.baseCaptions()));
      row.put("moved", word.towards());
      row.put(
          "other",
          others.stream()
              .filter(each -> each.isSame(word))
              .map(Word::towards)
              .findFirst()
              .orElse(Estimate.of(List.of())));
      rows.add(row);
    }
    return rows;
  }

  private Estimate bleed(String cell, Predicate<JsonNode> prompts) {
    return measures.atEnd(cell, measures.bleed(prompts));
  }
}
