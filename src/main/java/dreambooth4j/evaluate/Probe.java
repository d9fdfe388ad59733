package dreambooth4j.evaluate;

import java.util.Locale;

/**
 * A prompt that both models are asked.
 *
 * @param kind why it is asked
 * @param prompt what they are told
 * @param captions how many prompts of instance pictures hold it as a word; 0 where it is none
 */
public record Probe(Kind kind, String prompt, int captions) {
  /** Why a prompt is asked. */
  public enum Kind {
    /** It names the subject. */
    SUBJECT,
    /** It is the subject's class, such as "dog". */
    CLASS,
    /** A word of a quarter of the captions or more. */
    FREQUENT,
    /** A word of fewer captions. */
    RARE,
    /** A word whose embedding is close to the class's. */
    NEIGHBOUR,
    /** It has nothing to do with the training. */
    CONTROL,
    /** Somebody asked for it. */
    ASKED;

    /** As tables and JSON name it. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
