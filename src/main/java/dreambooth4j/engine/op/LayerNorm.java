package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.LayerNormKernels;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.global.torch;

/**
 * Layer normalisation over the last axis. x, y [.., C]; gamma, beta [C]; keeps x, mean and rstd,
 * one a row (step arena).
 */
public final class LayerNorm {
  private static final String OP = "layer_norm";

  private LayerNorm() {}

  /** What {@link #ofSum} gives: a + b, and that normalised. */
  public record Normed(Var sum, Var y) {}

  /** Normalises each row of the last axis. */
  public static Var apply(Tape tape, Var x, Parameter gamma, Parameter beta, double epsilon) {
    NormForm form = form(tape.arena(), x.value(), gamma, beta, epsilon);
    return form.record(tape, x, form.forward(x.value()));
  }

  private static NormForm form(
      Arena arena, Tensor x, Parameter gamma, Parameter beta, double epsilon) {
    LayerNormKernels kernels =
        LayerNormKernels.in(arena, epsilon, x, gamma.weight(), beta.weight());
    if (kernels != null) {
      return new NormForm.Launched(OP, arena, gamma, beta, kernels);
    }
    return arena.isDry()
        ? new NormForm.OfShapes(OP, arena, gamma, beta, x.count() / x.size(-1), 1)
        : new Plain(arena, gamma, beta, epsilon);
  }

  /**
   * Normalises a sum that goes on beside its norm, as residual paths do: {@link Add} and {@link
   * #apply}, which a kernel does in one pass.
   */
  public static Normed ofSum(
      Tape tape, Var a, Var b, Parameter gamma, Parameter beta, double epsilon) {
    Arena arena = tape.arena();
    LayerNormKernels kernels =
        LayerNormKernels.ofSumIn(
            arena, epsilon, a.value(), b.value(), gamma.weight(), beta.weight());
    if (kernels == null) {
      Var sum = Add.apply(tape, a, b);
      return new Normed(sum, apply(tape, sum, gamma, beta, epsilon));
    }
    NormForm.Launched form = new NormForm.Launched(OP, arena, gamma, beta, kernels);
    Tensor sum = arena.allocate("add", a.value().dtype(), a.value().shape());
    NormForm.Result made = form.room(sum);
    kernels.forwardOfSum(a.value(), b.value(), form.tensors(sum, made), made.y());
    Var x = Add.record(tape, a, b, sum);
    return new Normed(x, form.record(tape, x, made));
  }

  private static final class Plain extends NormForm.Plain {
    private final double epsilon;

    Plain(Arena arena, Parameter gamma, Parameter beta, double epsilon) {
      super(OP, arena, gamma, beta);
      this.epsilon = epsilon;
    }

    @Override
    Result forward(Tensor x) {
      Tensor[] all =
          arena.computeAll(
              OP,
              () -> {
                var r =
                    torch.native_layer_norm(
                        x.handle(),
                        new long[] {x.size(-1)},
                        Wide.of(gamma),
                        Wide.of(beta),
                        epsilon);
                return new org.bytedeco.pytorch.Tensor[] {r.get0(), r.get1(), r.get2()};
              });
      return new Result(all[0], all[1], all[2]);
    }

    @Override
    T_TensorTensorTensor_T gradients(Tensor x, Result made, Tensor dy, BoolPointer wanted) {
      return torch.native_layer_norm_backward(
          dy.handle(),
          x.handle(),
          new long[] {x.size(-1)},
          made.mean().handle(),
          made.rstd().handle(),
          Wide.of(gamma),
          Wide.of(beta),
          wanted);
    }

    @Override
    org.bytedeco.pytorch.Tensor inOurLayout(org.bytedeco.pytorch.Tensor theirs) {
      return theirs;
    }
  }
}
