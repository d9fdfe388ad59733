package dreambooth4j.weights;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * What a Stable Diffusion model is read from, one component at a time. Nobody else knows which
 * files there are.
 */
public interface ModelSource {
  /**
   * Finds a model: a folder, a single file, or a name such as {@code org/model} that Hugging Face's
   * tools have downloaded before.
   *
   * @throws Problem when there is no such model, or it is of a kind that is not trained here
   */
  static ModelSource find(String nameOrPath, ModelOptions options) {
    return ModelLookup.find(nameOrPath, options, System.getenv());
  }

  /**
   * The folder or file itself: to name it in messages, to find what lies beside it, and to tell
   * whether something would be written over it.
   */
  Path path();

  /** Its kind, which says what parts it has. */
  Pipeline pipeline();

  /**
   * Whether a picture without a negative prompt is drawn against zeros, rather than against an
   * empty prompt: {@code force_zeros_for_empty_prompt}.
   */
  boolean hasZeroNegative();

  /** What was taken for granted or passed over when it was opened: sentences for the user. */
  default List<String> notes() {
    return List.of();
  }

  /** Words that it reads beside those of its tokenizer, each by vectors of its own. */
  default List<TokenEmbedding> embeddings() {
    return List.of();
  }

  /** A component's configuration and what else it has beside its weights. */
  ComponentFiles files(Component component);

  /**
   * A component's configuration.
   *
   * @throws Problem when there is none
   */
  default ObjectNode config(Component component) {
    return files(component).json(component.configFile());
  }

  /** What to call a component's configuration in messages. */
  default String where(Component component) {
    return files(component).where(component.configFile());
  }

  /** Whether there are weights of a component; a plan of memory does without. */
  boolean hasWeights(Component component);

  /**
   * Opens a component's weights.
   *
   * @throws Problem when there are none that can be read
   */
  TensorSource weights(Component component);

  /**
   * Names what a component has learnt, or for one without weights what it is: SHA-256, the same
   * whenever the same is read. All of it is read, once in the life of this object.
   *
   * @throws Problem when there are none, or one cannot be read
   */
  String fingerprint(Component component);

  /**
   * Hands out the files of this model as those of a diffusers folder, under the names that {@code
   * from_pretrained} looks for when no variant is asked for; its index last.
   *
   * @param trained components whose weights are left out, for others take their place
   * @throws Problem when it can no longer be read
   */
  void copyTo(NewFiles files, Path output, Set<Component> trained);
}
