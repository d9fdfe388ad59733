package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.jspecify.annotations.Nullable;

/**
 * What DoRA (Liu et al. 2024) does to a product with W + s B A: y = v m / n + b over the last axis,
 * where n are the norms of that weight's rows, which no gradient passes. v, y [.., O]; m, n, b [O].
 * Keeps v and n (step arena).
 */
public final class Magnitude {
  private Magnitude() {}

  /**
   * The norms of the rows of W + s B A: [O], F32 beside 16 bits; the caller holds them.
   *
   * @param weight W, [O, ..]
   * @param down A, [r, ..] with the same other axes
   * @param up B, [O, r] or [O, r, 1, 1]
   */
  public static Tensor norms(
      Arena arena, Parameter weight, Parameter down, Parameter up, double scale) {
    return arena.compute(
        "magnitude.norms",
        () -> {
          var b = Matrices.matrix(up.weight());
          var change = wide(b).mm(wide(down.weight().handle().view(b.size(1), -1)));
          return wide(weight.weight().handle().view(b.size(0), -1))
              .add(change, new Scalar(scale))
              .norm(new ScalarOptional(new Scalar(2)), 1);
        });
  }

  private static org.bytedeco.pytorch.Tensor wide(org.bytedeco.pytorch.Tensor values) {
    return Wide.is(values) ? values.to(org.bytedeco.pytorch.global.torch.ScalarType.Float) : values;
  }

  /**
   * Applies it.
   *
   * @param norms as {@link #norms} gives them; the tape takes them over
   */
  public static Var apply(
      Tape tape, Var v, Tensor norms, Parameter magnitude, @Nullable Parameter bias) {
    Tensor y =
        tape.arena()
            .compute(
                "magnitude",
                () -> {
                  var scaled = v.handle().mul(factors(v.value(), norms, magnitude));
                  return bias == null ? scaled : scaled.add_(bias.weight().handle());
                });
    Var made =
        tape.record(
            "magnitude",
            y,
            v.needsGradient() || magnitude.isTrainable(),
            List.of(v.value(), norms),
            dy -> backward(tape, v, norms, magnitude, dy));
    norms.release();
    return made;
  }

  private static void backward(Tape tape, Var v, Tensor norms, Parameter magnitude, Tensor dy) {
    if (magnitude.isTrainable()) {
      Native.run(
          "magnitude.dm",
          () ->
              magnitude.accumulate(
                  Matrices.rows(dy).mul(Matrices.rows(v.value())).sum(0).div(norms.handle())));
    }
    if (v.needsGradient()) {
      v.accumulate(
          tape.arena()
              .compute("magnitude.dv", () -> dy.handle().mul(factors(dy, norms, magnitude))));
    }
  }

  /** m / n in the type of what it multiplies. */
  private static org.bytedeco.pytorch.Tensor factors(
      Tensor like, Tensor norms, Parameter magnitude) {
    return wide(magnitude.weight().handle())
        .div(norms.handle())
        .to(Native.scalarType(like.dtype()));
  }
}
