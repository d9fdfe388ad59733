package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.Launcher;
import dreambooth4j.engine.kernel.LayerNormKernels;
import java.util.List;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Layer normalisation over the last axis. x, y [.., C]; gamma, beta [C]; keeps x, mean and rstd,
 * one a row (step arena).
 */
public final class LayerNorm {
  private LayerNorm() {}

  /** What {@link #ofSum} gives: a + b, and that normalised. */
  public record Normed(Var sum, Var y) {}

  /** Normalises each row of the last axis. */
  public static Var apply(Tape tape, Var x, Parameter gamma, Parameter beta, double epsilon) {
    Launcher device =
        LayerNormKernels.launcherFor(tape.arena(), x.value(), gamma.weight(), beta.weight());
    Tensor[] all =
        device == null
            ? plain(tape.arena(), x, gamma, beta, epsilon)
            : launched(device, tape.arena(), x.value(), null, null, gamma, beta, epsilon);
    return record(device, tape, x, gamma, beta, all);
  }

  /**
   * Normalises a sum that goes on beside its norm, as residual paths do: {@link Add} and {@link
   * #apply}, which a kernel does in one pass.
   */
  public static Normed ofSum(
      Tape tape, Var a, Var b, Parameter gamma, Parameter beta, double epsilon) {
    Arena arena = tape.arena();
    Launcher device =
        LayerNormKernels.onSum(arena, a.value(), b.value(), gamma.weight(), beta.weight());
    if (device == null) {
      Var sum = Add.apply(tape, a, b);
      return new Normed(sum, apply(tape, sum, gamma, beta, epsilon));
    }
    Tensor sum = arena.allocate("add", a.value().dtype(), a.value().shape());
    Tensor[] all = launched(device, arena, a.value(), b.value(), sum, gamma, beta, epsilon);
    Var x = Add.record(tape, a, b, sum);
    return new Normed(x, record(device, tape, x, gamma, beta, all));
  }

  private static Var record(
      @Nullable Launcher device, Tape tape, Var x, Parameter gamma, Parameter beta, Tensor[] all) {
    Tensor mean = all[1];
    Tensor rstd = all[2];
    Var y =
        tape.record(
            "layer_norm",
            all[0],
            x.needsGradient() || gamma.isTrainable(),
            List.of(x.value(), mean, rstd),
            dy -> {
              if (Dry.is(x.handle())) {
                Dry.backward(tape, x, gamma, beta);
              } else if (device == null) {
                plainBack(tape.arena(), x, gamma, beta, mean, rstd, dy);
              } else {
                launchedBack(device, tape.arena(), x, gamma, beta, mean, rstd, dy);
              }
            });
    mean.release();
    rstd.release();
    return y;
  }

  /** y, mean and rstd by our kernel, of x or of what it writes to {@code sum}, x + residual. */
  private static Tensor[] launched(
      Launcher device,
      Arena arena,
      Tensor x,
      @Nullable Tensor residual,
      @Nullable Tensor sum,
      Parameter gamma,
      Parameter beta,
      double epsilon) {
    long rows = x.count() / x.size(-1);
    Tensor y = arena.allocate("layer_norm", x.dtype(), x.shape());
    Tensor mean = arena.allocate("layer_norm.mean", DType.F32, rows);
    Tensor rstd = arena.allocate("layer_norm.rstd", DType.F32, rows);
    LayerNormKernels.forward(
        device, x, residual, gamma.weight(), beta.weight(), epsilon, sum, y, mean, rstd);
    return new Tensor[] {y, mean, rstd};
  }

  /** The kernel adds the gradient that x has from elsewhere in the same pass. */
  private static void launchedBack(
      Launcher device,
      Arena arena,
      Var x,
      Parameter gamma,
      Parameter beta,
      Tensor mean,
      Tensor rstd,
      Tensor dy) {
    boolean train = gamma.isTrainable();
    Tensor other = x.takeGradient();
    Tensor dx = x.needsGradient() ? arena.allocate("layer_norm.dx", dy.dtype(), dy.shape()) : null;
    Tensor work = arena.allocate("work", DType.F32, LayerNormKernels.workElements(x.value()));
    LayerNormKernels.backward(
        device,
        dy,
        other,
        x.value(),
        gamma.weight(),
        mean,
        rstd,
        work,
        dx,
        train ? gamma.gradient() : null,
        train ? beta.gradient() : null,
        true);
    work.release();
    if (other != null) {
      other.release();
    }
    if (dx != null) {
      x.accumulate(dx);
    }
  }

  /** y, mean and rstd by libtorch. */
  private static Tensor[] plain(
      Arena arena, Var x, Parameter gamma, Parameter beta, double epsilon) {
    return arena.computeAll(
        "layer_norm",
        () -> {
          if (Dry.is(x.handle())) {
            return Dry.normalised(x.handle(), x.value().count() / x.size(-1), 1);
          }
          T_TensorTensorTensor_T r =
              torch.native_layer_norm(
                  x.handle(), new long[] {x.size(-1)}, Wide.of(gamma), Wide.of(beta), epsilon);
          return new org.bytedeco.pytorch.Tensor[] {r.get0(), r.get1(), r.get2()};
        });
  }

  private static void plainBack(
      Arena arena, Var x, Parameter gamma, Parameter beta, Tensor mean, Tensor rstd, Tensor dy) {
    Native.run(
        "layer_norm.backward",
        () -> {
          boolean train = gamma.isTrainable();
          BoolPointer mask = new BoolPointer(3);
          mask.put(0, x.needsGradient()).put(1, train).put(2, train);
          T_TensorTensorTensor_T all =
              torch.native_layer_norm_backward(
                  dy.handle(),
                  x.handle(),
                  new long[] {x.size(-1)},
                  mean.handle(),
                  rstd.handle(),
                  Wide.of(gamma),
                  Wide.of(beta),
                  mask);
          if (x.needsGradient()) {
            x.accumulate(arena.compute("layer_norm.dx", all::get0));
          }
          if (train) {
            gamma.accumulate(all.get1());
            beta.accumulate(all.get2());
          }
        });
  }
}
