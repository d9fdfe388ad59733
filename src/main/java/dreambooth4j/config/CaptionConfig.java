package dreambooth4j.config;

import java.util.List;
import java.util.Locale;

/**
 * How captions are read and what becomes of them each time a picture is shown.
 *
 * @param extensions of caption files, with their dots; the first that lies beside a picture counts
 * @param lines what a caption file of several lines means
 * @param shuffleTags put all tags of a prompt but the first in a new order each time it is shown
 * @param keepTokens how many tags at the start of a prompt are neither shuffled nor left out
 * @param tagDropoutRate how often, from 0 to 1, one of the other tags is left out
 * @param dropoutRate how often, from 0 to 1, the whole prompt is left out
 */
public record CaptionConfig(
    List<String> extensions,
    Lines lines,
    boolean shuffleTags,
    int keepTokens,
    double tagDropoutRate,
    double dropoutRate) {
  /** What a caption file of several lines means. */
  public enum Lines {
    /** One caption, broken into lines. */
    JOINED,
    /** The first is the caption. */
    FIRST,
    /**
     * Each is a caption of its own, of which an epoch takes one; all come before one comes again.
     */
    DRAWN;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Whether a prompt may differ from one step to the next, so that its encoding cannot be kept. */
  public boolean varies() {
    return shuffleTags || tagDropoutRate > 0 || dropoutRate > 0;
  }
}
