package dreambooth4j.engine;

import org.jspecify.annotations.Nullable;

/**
 * A pull of the weights that train towards where they were when training began, decoupled from the
 * gradients as AdamW's weight decay is: before its rule updates it, each weight moves by learning
 * rate × {@code weight} of the way. The penalty is the squared distance of Kim et al. 2025
 * (arXiv:2505.19519), who add it to the loss; taken out of the gradients it is neither clipped nor
 * divided by their variance.
 *
 * @param weight strength of the pull; 0 for none
 * @param copy type of the copy that is kept of where the weights were; null where there is none,
 *     and the pull is towards zero
 */
public record Anchor(double weight, @Nullable DType copy) {
  /** No pull. */
  public static final Anchor NONE = new Anchor(0, null);

  /** Where a part of a group's weights is now, if that is to be remembered: a tensor that stays. */
  @Nullable Tensor of(Arena arena, Parameters group, Parameters.Span part) {
    if (weight == 0 || copy == null) {
      return null;
    }
    Tensor kept = arena.allocate("anchor", copy, part.length());
    Tensor now = group.masters().rows(part.from(), part.length());
    kept.copyFrom(now);
    now.release();
    return kept;
  }
}
