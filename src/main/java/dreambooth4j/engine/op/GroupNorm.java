package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.GroupNormKernels;
import dreambooth4j.engine.kernel.GroupNormKernels.Norm;
import dreambooth4j.engine.kernel.Launcher;
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
    Norm norm = new Norm(groups, epsilon, silu);
    Arena arena = tape.arena();
    Launcher device = GroupNormKernels.launcherFor(arena, x.value(), gamma.weight(), beta.weight());
    Tensor[] all =
        device == null
            ? plain(arena, x, gamma, beta, norm)
            : launched(device, arena, x.value(), gamma, beta, norm);
    Tensor mean = all[1];
    Tensor rstd = all[2];
    Var y =
        tape.record(
            "group_norm",
            all[0],
            x.needsGradient() || gamma.isTrainable(),
            List.of(x.value(), mean, rstd),
            dy -> {
              if (Dry.is(x.handle())) {
                Dry.backward(tape, x, gamma, beta);
              } else if (device == null) {
                plainBack(arena, x, gamma, beta, norm, mean, rstd, dy);
              } else {
                launchedBack(device, arena, x, gamma, beta, norm, mean, rstd, dy);
              }
            });
    mean.release();
    rstd.release();
    return y;
  }

  /** y, mean and rstd by our kernel. */
  private static Tensor[] launched(
      Launcher device, Arena arena, Tensor x, Parameter gamma, Parameter beta, Norm norm) {
    Tensor y = arena.allocate("group_norm", x.dtype(), x.shape());
    Tensor mean = arena.allocate("group_norm.mean", DType.F32, x.size(0), norm.groups());
    Tensor rstd = arena.allocate("group_norm.rstd", DType.F32, x.size(0), norm.groups());
    Tensor work = work(arena, x, norm);
    GroupNormKernels.forward(device, norm, x, gamma.weight(), beta.weight(), work, y, mean, rstd);
    work.release();
    return new Tensor[] {y, mean, rstd};
  }

  private static Tensor work(Arena arena, Tensor x, Norm norm) {
    return arena.allocate("work", DType.F32, GroupNormKernels.workElements(x, norm.groups()));
  }

  private static void launchedBack(
      Launcher device,
      Arena arena,
      Var x,
      Parameter gamma,
      Parameter beta,
      Norm norm,
      Tensor mean,
      Tensor rstd,
      Tensor dy) {
    boolean train = gamma.isTrainable();
    Tensor dx = x.needsGradient() ? arena.allocate("group_norm.dx", dy.dtype(), dy.shape()) : null;
    Tensor work = work(arena, x.value(), norm);
    GroupNormKernels.backward(
        device,
        norm,
        dy,
        x.value(),
        gamma.weight(),
        beta.weight(),
        mean,
        rstd,
        work,
        dx,
        train ? gamma.gradient() : null,
        train ? beta.gradient() : null,
        true);
    work.release();
    if (dx != null) {
      x.accumulate(dx);
    }
  }

  /** y, mean and rstd by libtorch. */
  private static Tensor[] plain(Arena arena, Var x, Parameter gamma, Parameter beta, Norm norm) {
    return arena.computeAll(
        "group_norm",
        () -> {
          if (Dry.is(x.handle())) {
            return Dry.normalised(x.handle(), x.size(0), norm.groups());
          }
          T_TensorTensorTensor_T r = normalised(x, gamma, beta, norm);
          org.bytedeco.pytorch.Tensor y = ChannelsLast.out(r.get0());
          return new org.bytedeco.pytorch.Tensor[] {
            norm.silu() ? torch.silu_(y) : y, r.get1(), r.get2()
          };
        });
  }

  private static T_TensorTensorTensor_T normalised(
      Var x, Parameter gamma, Parameter beta, Norm norm) {
    return torch.native_group_norm(
        ChannelsLast.inGroups(x.handle(), norm.groups()),
        Wide.of(gamma),
        Wide.of(beta),
        x.size(0),
        x.size(3),
        x.size(1) * x.size(2),
        norm.groups(),
        norm.epsilon());
  }

  private static void plainBack(
      Arena arena,
      Var x,
      Parameter gamma,
      Parameter beta,
      Norm norm,
      Tensor mean,
      Tensor rstd,
      Tensor dy) {
    Native.run(
        "group_norm.backward",
        () -> {
          org.bytedeco.pytorch.Tensor dNormed = ChannelsLast.inGroups(dy.handle(), norm.groups());
          if (norm.silu()) {
            dNormed = torch.silu_backward(dNormed, normalised(x, gamma, beta, norm).get0());
          }
          boolean train = gamma.isTrainable();
          BoolPointer mask = new BoolPointer(3);
          mask.put(0, x.needsGradient()).put(1, train).put(2, train);
          T_TensorTensorTensor_T all =
              torch.native_group_norm_backward(
                  dNormed,
                  ChannelsLast.inGroups(x.handle(), norm.groups()),
                  mean.handle(),
                  rstd.handle(),
                  Wide.of(gamma),
                  x.size(0),
                  x.size(3),
                  x.size(1) * x.size(2),
                  norm.groups(),
                  mask);
          if (x.needsGradient()) {
            x.accumulate(arena.compute("group_norm.dx", () -> ChannelsLast.out(all.get0())));
          }
          if (train) {
            gamma.accumulate(all.get1());
            beta.accumulate(all.get2());
          }
        });
  }
}
