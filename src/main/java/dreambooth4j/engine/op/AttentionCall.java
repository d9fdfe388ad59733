package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Threads;
import dreambooth4j.engine.op.AttentionEngine.Operators;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/**
 * The one place that calls an attention's engine for an op: the engine is chosen in forward, and
 * the same computes backward.
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th><th>owner</th></tr>
 * <tr><td>y</td><td>[B, N, heads·d], as q</td><td>the caller; needed backward</td></tr>
 * <tr><td>kept</td><td>the engine's, such as the logarithm of the softmax sums [B, heads, N]</td>
 * <td>the caller; needed backward</td></tr>
 * </table>
 */
final class AttentionCall {
  /** The operators as ops call them: libtorch's own threads compute, the BLAS library's rest. */
  private static final Operators OPERATORS =
      (name, arguments) -> Threads.withoutBlasPool(() -> Boxed.call(name, arguments));

  private final AttentionEngine engine;
  private final long heads;
  private final Supplier<Qkv> qkv;
  private final List<Tensor> results;

  private AttentionCall(
      AttentionEngine engine, long heads, Supplier<Qkv> qkv, List<Tensor> results) {
    this.engine = engine;
    this.heads = heads;
    this.qkv = qkv;
    this.results = results;
  }

  /**
   * Attends.
   *
   * @param qkv makes the engine's views of what the op keeps; called inside native calls, more than
   *     once
   * @param backward whether {@link #gradients} will be asked for
   */
  static AttentionCall forward(Arena arena, Sizes sizes, Supplier<Qkv> qkv, boolean backward) {
    return forward(
        arena, OpBackend.of(arena).attention().choose(sizes, qkv, backward), sizes.heads(), qkv);
  }

  /** As the other one, where some keys are hidden. */
  static AttentionCall hiding(Arena arena, long heads, Supplier<Qkv> qkv) {
    return forward(arena, arena.isDry() ? AttentionEngine.DRY : AttentionEngine.PLAIN, heads, qkv);
  }

  private static AttentionCall forward(
      Arena arena, AttentionEngine engine, long heads, Supplier<Qkv> qkv) {
    Tensor[] results =
        arena.computeAll(
            "attention",
            () -> {
              var all = engine.forward(OPERATORS, qkv.get());
              all[0] = Qkv.joined(all[0]);
              return all;
            });
    return new AttentionCall(engine, heads, qkv, List.of(results));
  }

  /** The result; the caller holds it. */
  Tensor y() {
    return results.get(0);
  }

  /** y and what the engine keeps beside it: all that {@link #gradients} needs. */
  List<Tensor> results() {
    return results;
  }

  /** Releases what the engine keeps; {@link #y} is its holder's. */
  void releaseKept() {
    results.subList(1, results.size()).forEach(Tensor::release);
  }

  /** Handles of dq, dk and dv, as tokens; inside a native call, while the results are held. */
  org.bytedeco.pytorch.Tensor[] gradients(Tensor dy) {
    var out = results.stream().map(Tensor::handle).toArray(org.bytedeco.pytorch.Tensor[]::new);
    out[0] = Qkv.split(out[0], heads);
    var all = engine.backward(OPERATORS, qkv.get(), out, Qkv.split(dy.handle(), heads));
    return Arrays.stream(all).limit(3).map(Qkv::joined).toArray(org.bytedeco.pytorch.Tensor[]::new);
  }
}
