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
    Arena arena = tape.arena();
    boolean backward = q.needsGradient() || k.needsGradient() || v.needsGradient();
    Sizes sizes =
        new Sizes(
            q.value().dtype(), q.size(0), heads, q.size(1), k.size(1), q.size(2) / heads, causal);
    AttentionCall call =
        AttentionCall.forward(
            arena,
            sizes,
            () -> Qkv.ofTokens(q.handle(), k.handle(), v.handle(), heads, causal),
            backward);
    List<Tensor> kept =
        Stream.concat(Stream.of(q.value(), k.value(), v.value()), call.results().stream()).toList();
    Var y =
        tape.record(
            "attention",
            call.y(),
            backward,
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
