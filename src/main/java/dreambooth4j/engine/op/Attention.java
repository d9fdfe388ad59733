package dreambooth4j.engine.op;

import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Threads;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Multi-head attention, softmax(q kᵀ / √d) v for each head. q, y [B, N, heads·d], k, v [B, M,
 * heads·d]; causal: a token sees itself and those before it. Keeps q, k, v, y and the logarithm of
 * the softmax sums [B, heads, N] (step arena), never the N×M matrix: libtorch's flash attention for
 * the CPU.
 */
public final class Attention {
  private static final String FORWARD = "_scaled_dot_product_flash_attention_for_cpu";
  private static final String BACKWARD = "_scaled_dot_product_flash_attention_for_cpu_backward";

  private Attention() {}

  /** Attends with {@code heads} heads, which must divide the width. */
  public static Var apply(Tape tape, Var q, Var k, Var v, int heads, boolean causal) {
    Tensor[] all =
        tape.arena()
            .computeAll(
                "attention",
                () -> {
                  if (Dry.is(q.at())) {
                    return new org.bytedeco.pytorch.Tensor[] {
                      torch.empty_like(q.at()), Dry.sums(q.at(), q.size(0), heads, q.size(1))
                    };
                  }
                  org.bytedeco.pytorch.Tensor[] r =
                      call(
                          FORWARD,
                          split(q.value(), heads),
                          split(k.value(), heads),
                          split(v.value(), heads),
                          0.0,
                          causal,
                          null,
                          null);
                  return new org.bytedeco.pytorch.Tensor[] {joined(r[0]), r[1]};
                });
    Tensor y = all[0];
    Tensor sums = all[1];
    Var output =
        tape.record(
            "attention",
            y,
            q.needsGradient() || k.needsGradient() || v.needsGradient(),
            List.of(q.value(), k.value(), v.value(), y, sums),
            dy -> backward(tape, q, k, v, heads, causal, y, sums, dy));
    sums.release();
    return output;
  }

  private static void backward(
      Tape tape, Var q, Var k, Var v, int heads, boolean causal, Tensor y, Tensor sums, Tensor dy) {
    Tensor[] all =
        tape.arena()
            .computeAll(
                "attention.backward",
                () -> {
                  if (Dry.is(q.at())) {
                    return new org.bytedeco.pytorch.Tensor[] {
                      torch.empty_like(q.at()), torch.empty_like(k.at()), torch.empty_like(v.at())
                    };
                  }
                  org.bytedeco.pytorch.Tensor[] r =
                      call(
                          BACKWARD,
                          split(dy, heads),
                          split(q.value(), heads),
                          split(k.value(), heads),
                          split(v.value(), heads),
                          split(y, heads),
                          sums.at(),
                          0.0,
                          causal,
                          null,
                          null);
                  return new org.bytedeco.pytorch.Tensor[] {
                    joined(r[0]), joined(r[1]), joined(r[2])
                  };
                });
    q.accumulate(all[0]);
    k.accumulate(all[1]);
    v.accumulate(all[2]);
  }

  private static org.bytedeco.pytorch.Tensor[] call(String name, @Nullable Object... arguments) {
    return Threads.withoutBlasPool(() -> Boxed.call(name, arguments));
  }

  /** [B, N, heads·d] seen as [B, heads, N, d]. */
  private static org.bytedeco.pytorch.Tensor split(Tensor tokens, int heads) {
    return tokens
        .at()
        .view(tokens.size(0), tokens.size(1), heads, tokens.size(2) / heads)
        .transpose(1, 2);
  }

  /** [B, heads, N, d] as [B, N, heads·d]. */
  private static org.bytedeco.pytorch.Tensor joined(org.bytedeco.pytorch.Tensor heads) {
    return heads.transpose(1, 2).flatten(2, 3).contiguous();
  }
}
