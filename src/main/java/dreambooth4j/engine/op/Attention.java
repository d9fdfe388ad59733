package dreambooth4j.engine.op;

import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Threads;
import dreambooth4j.engine.Var;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

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
    boolean goesBack = q.needsGradient() || k.needsGradient() || v.needsGradient();
    AttentionEngine engine = engine(tape, q, k, v, heads, causal, goesBack);
    Tensor[] all =
        tape.arena()
            .computeAll(
                "attention",
                () -> {
                  org.bytedeco.pytorch.Tensor[] r =
                      engine.forward(
                          Attention::call,
                          split(q.handle(), heads),
                          split(k.handle(), heads),
                          split(v.handle(), heads),
                          causal);
                  r[0] = joined(r[0]);
                  return r;
                });
    Tensor y = all[0];
    List<Tensor> kept = List.of(all).subList(1, all.length);
    List<Tensor> held =
        Stream.concat(Stream.of(q.value(), k.value(), v.value(), y), kept.stream()).toList();
    Var output =
        tape.record(
            "attention",
            y,
            goesBack,
            held,
            dy -> backward(engine, tape, q, k, v, heads, causal, y, kept, dy));
    kept.forEach(Tensor::release);
    return output;
  }

  private static AttentionEngine engine(
      Tape tape, Var q, Var k, Var v, int heads, boolean causal, boolean goesBack) {
    AttentionEngine.Sizes sizes =
        new AttentionEngine.Sizes(
            q.value().dtype(), q.size(0), heads, q.size(1), k.size(1), q.size(2) / heads, causal);
    return AttentionChoice.of(
        tape.arena(),
        sizes,
        () ->
            new org.bytedeco.pytorch.Tensor[] {
              split(q.handle(), heads), split(k.handle(), heads), split(v.handle(), heads)
            },
        goesBack);
  }

  private static void backward(
      AttentionEngine engine,
      Tape tape,
      Var q,
      Var k,
      Var v,
      int heads,
      boolean causal,
      Tensor y,
      List<Tensor> kept,
      Tensor dy) {
    Tensor[] all =
        tape.arena()
            .computeAll(
                "attention.backward",
                () -> {
                  org.bytedeco.pytorch.Tensor[] r =
                      engine.backward(
                          Attention::call,
                          split(dy.handle(), heads),
                          split(q.handle(), heads),
                          split(k.handle(), heads),
                          split(v.handle(), heads),
                          split(y.handle(), heads),
                          kept.stream()
                              .map(Tensor::handle)
                              .toArray(org.bytedeco.pytorch.Tensor[]::new),
                          causal);
                  return new org.bytedeco.pytorch.Tensor[] {
                    joined(r[0]), joined(r[1]), joined(r[2])
                  };
                });
    q.accumulate(all[0]);
    k.accumulate(all[1]);
    v.accumulate(all[2]);
  }

  static org.bytedeco.pytorch.Tensor[] call(String name, @Nullable Object... arguments) {
    return Threads.withoutBlasPool(() -> Boxed.call(name, arguments));
  }

  /** [B, N, heads·d] seen as [B, heads, N, d]. */
  static org.bytedeco.pytorch.Tensor split(org.bytedeco.pytorch.Tensor tokens, int heads) {
    return tokens
        .view(tokens.size(0), tokens.size(1), heads, tokens.size(2) / heads)
        .transpose(1, 2);
  }

  /** [B, heads, N, d] as [B, N, heads·d]. */
  static org.bytedeco.pytorch.Tensor joined(org.bytedeco.pytorch.Tensor heads) {
    return heads.transpose(1, 2).flatten(2, 3).contiguous();
  }
}
