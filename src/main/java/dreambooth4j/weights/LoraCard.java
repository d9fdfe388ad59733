package dreambooth4j.weights;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a LoRA says of itself beside its weights, for the programs that list and draw with it.
 *
 * @param title what to call it
 * @param trigger the words that a prompt must hold for the subject to appear; may be empty
 * @param width pixels that it was trained at; 0 if unknown
 * @param height likewise
 * @param training kohya's {@code ss_…} and other notes on how it came about
 * @param picture what it draws; null where nothing was drawn
 */
public record LoraCard(
    String title,
    String trigger,
    int width,
    int height,
    Map<String, String> training,
    @Nullable Picture picture) {
  /**
   * A picture to know it by.
   *
   * @param png the file to lie beside it
   * @param thumbnail a small one, as a {@code data:} URI
   */
  public record Picture(StagedFiles.Body png, String thumbnail) {}

  /** One that has a title and notes on how it came about. */
  public static LoraCard titled(String title, Map<String, String> training) {
    return new LoraCard(title, "", 0, 0, training, null);
  }
}
