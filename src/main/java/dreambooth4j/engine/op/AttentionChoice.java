package dreambooth4j.engine.op;

import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.function.Supplier;

/** Which engine computes an attention. */
@FunctionalInterface
interface AttentionChoice {
  /**
   * The engine for tensors of these sizes.
   *
   * @param qkv such tensors, for a trial; asked for inside native calls
   * @param backward whether gradients will be computed too
   */
  AttentionEngine choose(Sizes sizes, Supplier<Qkv> qkv, boolean backward);

  /** The same for all. */
  static AttentionChoice always(AttentionEngine engine) {
    return (sizes, qkv, backward) -> engine;
  }
}
