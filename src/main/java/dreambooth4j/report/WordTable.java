package dreambooth4j.report;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.Picture;
import dreambooth4j.data.Prompts;
import dreambooth4j.prior.ClassImagePlan;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How many prompts each word and each tag of several words occurs in: of the instance pictures, and
 * of the class images, those to be made among them.
 *
 * @param instances prompts of instance pictures in all
 * @param classImages class images in all
 * @param rows the most frequent, those of the instance pictures first
 * @param left how many rarer ones are not among them
 */
record WordTable(int instances, int classImages, List<WordCount> rows, int left) {
  private static final int MOST_ROWS = 500;
  private static final Pattern WORD =
      Pattern.compile("[\\p{L}\\p{M}\\p{N}][\\p{L}\\p{M}\\p{N}'’_-]*");

  /**
   * A word or tag, in small letters.
   *
   * @param isTag whether it is a tag of several words
   * @param isToken whether it is part of the subject's or the class's name
   */
  record WordCount(
      String text, boolean isTag, boolean isToken, int inInstances, int inClassImages) {}

  private static final class Counts {
    private final Map<String, Integer> instances = new HashMap<>();
    private final Map<String, Integer> classImages = new HashMap<>();
    private final Set<String> tags = new LinkedHashSet<>();

    void add(String prompt, int times, Map<String, Integer> to) {
      Set<String> words = new LinkedHashSet<>();
      Matcher matcher = WORD.matcher(prompt.toLowerCase(Locale.ROOT));
      while (matcher.find()) {
        words.add(matcher.group());
      }
      Set<String> own = DataFindings.tags(prompt);
      if (own.size() > 1) { // a sentence is no tag
        own.removeIf(tag -> WORD.matcher(tag).matches() || !WORD.matcher(tag).find());
        tags.addAll(own);
        words.addAll(own);
      }
      words.forEach(word -> to.merge(word, times, Integer::sum));
    }
  }

  /** Counts them. */
  static WordTable of(List<Picture> pictures, ClassImagePlan plan, List<ConceptConfig> concepts) {
    Counts counts = new Counts();
    int instances = 0;
    for (Picture picture : pictures) {
      for (Picture.Wording wording : picture.wordings()) {
        counts.add(wording.instancePrompt(), 1, counts.instances);
        instances++;
      }
    }
    int classImages = 0;
    for (ClassImagePlan.Need need : plan.needs()) {
      for (ClassImage image : need.present()) {
        counts.add(image.prompt(), 1, counts.classImages);
      }
      if (need.missing() > 0) {
        counts.add(need.pool().caption(), need.missing(), counts.classImages);
      }
      classImages += need.present().size() + need.missing();
    }
    Set<String> all = new LinkedHashSet<>(counts.instances.keySet());
    all.addAll(counts.classImages.keySet());
    List<WordCount> rows =
        all.stream()
            .map(
                text ->
                    new WordCount(
                        text,
                        counts.tags.contains(text),
                        isToken(text, concepts),
                        counts.instances.getOrDefault(text, 0),
                        counts.classImages.getOrDefault(text, 0)))
            .sorted(
                Comparator.comparingInt((WordCount row) -> -row.inInstances)
                    .thenComparingInt(row -> -row.inClassImages)
                    .thenComparing(WordCount::text))
            .limit(MOST_ROWS)
            .toList();
    return new WordTable(instances, classImages, rows, all.size() - rows.size());
  }

  private static boolean isToken(String word, List<ConceptConfig> concepts) {
    return concepts.stream()
        .anyMatch(
            concept ->
                Prompts.mentions(concept.instanceToken(), word)
                    || Prompts.mentions(concept.classImages().token(), word));
  }
}
