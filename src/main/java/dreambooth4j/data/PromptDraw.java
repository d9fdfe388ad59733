package dreambooth4j.data;

import dreambooth4j.config.CaptionConfig;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.List;

/**
 * What a prompt is on one occasion: whole or empty, its tags in a new order, some of them left out.
 * Tags that name the subject or its class stay, so that the two prompts of a pair keep their
 * meaning.
 */
public final class PromptDraw {
  private final CaptionConfig how;
  private final String instanceToken;
  private final String classToken;

  /** For the prompts of one concept, of its pictures and of its class images. */
  public PromptDraw(CaptionConfig how, ConceptConfig concept) {
    this.how = how;
    this.instanceToken = concept.instanceToken();
    this.classToken = concept.classImages().token();
  }

  /** The prompt as it is shown once; which way is decided by {@code random} alone. */
  public String draw(String prompt, CounterRandom random) {
    if (how.dropoutRate() > 0 && random.uniform() < how.dropoutRate()) {
      return "";
    }
    String shown =
        how.shuffleTags() ? Prompts.shuffleTags(prompt, how.keepTokens(), random) : prompt;
    if (how.tagDropoutRate() == 0) {
      return shown;
    }
    String[] tags = shown.split(",", -1);
    List<String> kept = new ArrayList<>();
    for (int i = 0; i < tags.length; i++) {
      boolean dropped = random.uniform() < how.tagDropoutRate();
      if (i < how.keepTokens() || names(tags[i]) || !dropped) {
        kept.add(tags[i]);
      }
    }
    return Prompts.dropEmptyTags(String.join(",", kept));
  }

  private boolean names(String tag) {
    return Prompts.mentions(tag, instanceToken) || Prompts.mentions(tag, classToken);
  }
}
