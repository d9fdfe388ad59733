package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.global.torch;

/**
 * Group normalisation of channels-last images, with SiLU after it if asked. x, y [B, H, W, C];
 * gamma, beta [C]; keeps x, mean and rstd [B, groups] (step arena). What SiLU's gradient needs, the
 * normalised value, is computed again on the way back rather than kept.
 */
public final class GroupNorm {
  private GroupNorm() {}

  /** Normalises each of {@code groups} groups of channels over its channels and pixels. */
  public static Var apply(
      Tape tape, Var x, Parameter gamma, Parameter beta, int groups, double epsilon, boolean silu) {
    Tensor[] all =
        tape.arena()
            .computeAll(
                "group_norm",
                () -> {
                  if (Dry.is(x.at())) {
                    return Dry.normalised(x.at(), x.size(0), groups);
                  }
                  T_TensorTensorTensor_T r = forward(x, gamma, beta, groups, epsilon);
                  org.bytedeco.pytorch.Tensor y = ChannelsLast.out(r.get0());
                  return new org.bytedeco.pytorch.Tensor[] {
                    silu ? torch.silu_(y) : y, r.get1(), r.get2()
                  };
                });
    Tensor mean = all[1];
    Tensor rstd = all[2];
    Var y =
        tape.record(
            "group_norm",
            all[0],
            x.needsGradient() || gamma.isTrainable(),
            List.of(x.value(), mean, rstd),
            dy -> backward(tape, x, gamma, beta, groups, epsilon, silu, mean, rstd, dy));
    mean.release();
    rstd.release();
    return y;
  }

  private static T_TensorTensorTensor_T forward(
      Var x, Parameter gamma, Parameter beta, int groups, double epsilon) {
    return torch.native_group_norm(
        ChannelsLast.in(x.at()),
        Wide.of(gamma),
        Wide.of(beta),
        x.size(0),
        x.size(3),
        x.size(1) * x.size(2),
        groups,
        epsilon);
  }

  private static void backward(
      Tape tape,
      Var x,
      Parameter gamma,
      Parameter beta,
      int groups,
      double epsilon,
      boolean silu,
      Tensor mean,
      Tensor rstd,
      Tensor dy) {
    if (Dry.is(x.at())) {
      Dry.backward(tape, x, gamma, beta);
      return;
    }
    Native.run(
        "group_norm.backward",
        () -> {
          org.bytedeco.pytorch.Tensor dNormed = ChannelsLast.in(dy.at());
          if (silu) {
            dNormed = torch.silu_backward(dNormed, forward(x, gamma, beta, groups, epsilon).get0());
          }
          boolean train = gamma.isTrainable();
          BoolPointer mask = new BoolPointer(3);
          mask.put(0, x.needsGradient()).put(1, train).put(2, train);
          T_TensorTensorTensor_T all =
              torch.native_group_norm_backward(
                  dNormed,
                  ChannelsLast.in(x.at()),
                  mean.at(),
                  rstd.at(),
                  Wide.of(gamma),
                  x.size(0),
                  x.size(3),
                  x.size(1) * x.size(2),
                  groups,
                  mask);
          if (x.needsGradient()) {
            x.accumulate(tape.arena().compute("group_norm.dx", () -> ChannelsLast.out(all.get0())));
          }
          if (train) {
            gamma.accumulate(all.get1());
            beta.accumulate(all.get2());
          }
        });
  }
}
