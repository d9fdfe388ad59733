package dreambooth4j.data;

import java.nio.file.Path;

/**
 * One instance picture.
 *
 * @param concept its concept's place in the configuration, from 0
 * @param bucket the size it is trained at
 * @param instancePrompt the prompt it is trained with
 * @param classCaption the prompt of its class images; empty if nothing says what its class is
 */
public record Picture(
    Path file, int concept, Bucket bucket, String instancePrompt, String classCaption) {
  /** The pool that its class images come from. */
  public ClassPool pool() {
    return new ClassPool(concept, bucket, classCaption);
  }
}
