package dreambooth4j.data;

import dreambooth4j.config.Crop;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One instance picture.
 *
 * @param concept its concept's place in the configuration, from 0
 * @param bucket the size it is trained at
 * @param crop where it is cropped
 * @param repeats how often an epoch shows it
 * @param wordings its prompts; of several, an epoch takes one
 * @param mask the file that says what each place of it counts in the loss; null if there is none
 */
public record Picture(
    Path file,
    int concept,
    Bucket bucket,
    Crop crop,
    int repeats,
    List<Wording> wordings,
    @Nullable Path mask) {
  /**
   * What one caption becomes.
   *
   * @param instancePrompt the prompt the picture is trained with
   * @param classCaption the prompt of its class images; empty if nothing says what its class is, or
   *     if class images have captions of their own
   */
  public record Wording(String instancePrompt, String classCaption) {}

  /** A picture without a mask. */
  public Picture(
      Path file, int concept, Bucket bucket, Crop crop, int repeats, List<Wording> wordings) {
    this(file, concept, bucket, crop, repeats, wordings, null);
  }

  /** A picture with one caption that is cropped about its centre and comes once an epoch. */
  public Picture(
      Path file, int concept, Bucket bucket, String instancePrompt, String classCaption) {
    this(file, concept, bucket, Crop.CENTER, 1, List.of(new Wording(instancePrompt, classCaption)));
  }

  /** This picture with a mask. */
  Picture masked(@Nullable Path file) {
    return new Picture(this.file, concept, bucket, crop, repeats, wordings, file);
  }

  /** The prompt it is trained with, the first of several. */
  public String instancePrompt() {
    return wordings.get(0).instancePrompt();
  }

  /** The prompt of its class images, the first of several. */
  public String classCaption() {
    return wordings.get(0).classCaption();
  }

  /** The pool that its class images come from, for the first of several wordings. */
  public ClassPool pool() {
    return new ClassPool(concept, bucket, classCaption());
  }

  /** This picture once with each of its wordings. */
  public List<Picture> variants() {
    return wordings.size() == 1
        ? List.of(this)
        : wordings.stream()
            .map(
                wording ->
                    new Picture(file, concept, bucket, crop, repeats, List.of(wording), mask))
            .toList();
  }
}
