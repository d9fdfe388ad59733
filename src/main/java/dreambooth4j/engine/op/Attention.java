package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.List;
import java.util.stream.Stream;

/**
 * Multi-head attention, softmax(q kᵀ / √d) v for each head. q, y [B, N, heads·d], k, v [B, M,
 * heads·d]; causal: a token sees itself and those before it. Keeps q, k, v, y and what the {@link
 * AttentionEngine} keeps, such as the logarithm of the softmax sums [B, heads, N] (step arena); the
 * N×M matrix only where no other engine takes type and width.
 */
public final class Attention {
  private Attention() {}

  /** Attends with {@code heads} heads, which must divide the width. */
  public static Var apply(Tape tape, Var q, Var k, Var v, int heads, boolean causal) {
    boolean backward = q.needsGradient() || k.needsGradient() || v.needsGradient();
    Sizes sizes =
        new Sizes(
            q.value().dtype(), q.size(0), heads, q.size(1), k.size(1), q.size(2) / heads, causal);
    AttentionCall call =
        AttentionCall.forward(
            tape.arena(),
            sizes,
            () -> Qkv.ofTokens(q.handle(), k.handle(), v.handle(), heads, causal),
            backward);
    return record(tape, call, q, k, v, List.of());
  }

  /**
   * Attends where a token sees itself and those before it, but for keys that are hidden from all.
   * Keeps the N×M matrix.
   *
   * @param hidden BOOL [B, 1, 1, M], kept; true is hidden, but never for a row's first key
   */
  public static Var applyHiding(Tape tape, Var q, Var k, Var v, int heads, Tensor hidden) {
    AttentionCall call =
        AttentionCall.hiding(
            tape.arena(),
            heads,
            () -> Qkv.ofTokens(q.handle(), k.handle(), v.handle(), heads, true, hidden.handle()));
    return record(tape, call, q, k, v, List.of(hidden));
  }

  private static Var record(Tape tape, AttentionCall call, Var q, Var k, Var v, List<Tensor> more) {
    Arena arena = tape.arena();
    List<Tensor> kept =
        Stream.of(List.of(q.value(), k.value(), v.value()), call.results(), more)
            .flatMap(List::stream)
            .toList();
    Var y =
        tape.record(
            "attention",
            call.y(),
            q.needsGradient() || k.needsGradient() || v.needsGradient(),
            kept,
            dy -> {
              Tensor[] d = arena.computeAll("attention.backward", () -> call.gradients(dy));
              q.accumulate(d[0]);
              k.accumulate(d[1]);
              v.accumulate(d[2]);
            });
    call.releaseKept();
    return y;
  }
}
