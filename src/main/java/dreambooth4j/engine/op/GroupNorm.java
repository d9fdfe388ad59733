package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.GroupNormKernels;
import dreambooth4j.engine.kernel.GroupNormKernels.Norm;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.global.torch;

/**
 * Group normalisation of channels-last images, with SiLU after it if asked. x, y [B, H, W, C];
 * gamma, beta [C]; keeps x, mean and rstd [B, groups] (step arena). What SiLU's gradient needs, the
 * normalised value, is computed again in backward rather than kept.
 */
public final class GroupNorm {
  private static final String OP = "group_norm";

  private GroupNorm() {}

  /** Normalises each of {@code groups} groups of channels over its channels and pixels. */
  public static Var apply(
      Tape tape, Var x, Parameter gamma, Parameter beta, int groups, double epsilon, boolean silu) {
    NormForm form = form(tape.arena(), x.value(), gamma, beta, new Norm(groups, epsilon, silu));
    return form.record(tape, x, form.forward(x.value()));
  }

  private static NormForm form(Arena arena, Tensor x, Parameter gamma, Parameter beta, Norm norm) {
    GroupNormKernels kernels = GroupNormKernels.in(arena, norm, x, gamma.weight(), beta.weight());
    if (kernels != null) {
      return new NormForm.Launched(OP, arena, gamma, beta, kernels);
    }
    return arena.isDry()
        ? new NormForm.OfShapes(OP, arena, gamma, beta, x.size(0), norm.groups())
        : new Plain(arena, gamma, beta, norm);
  }

  private static final class Plain extends NormForm.Plain {
    private final Norm norm;

    Plain(Arena arena, Parameter gamma, Parameter beta, Norm norm) {
      super(OP, arena, gamma, beta);
      this.norm = norm;
    }

    @Override
    Result forward(Tensor x) {
      Tensor[] all =
          arena.computeAll(
              OP,
              () -> {
                var r = normalised(x);
                var y = ChannelsLast.out(r.get0());
                return new org.bytedeco.pytorch.Tensor[] {
                  norm.silu() ? torch.silu_(y) : y, r.get1(), r.get2()
                };
              });
      return new Result(all[0], all[1], all[2]);
    }

    private T_TensorTensorTensor_T normalised(Tensor x) {
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

    @Override
    T_TensorTensorTensor_T gradients(Tensor x, Result made, Tensor dy, BoolPointer wanted) {
      var dNormed = ChannelsLast.inGroups(dy.handle(), norm.groups());
      return torch.native_group_norm_backward(
          norm.silu() ? torch.silu_backward(dNormed, normalised(x).get0()) : dNormed,
          ChannelsLast.inGroups(x.handle(), norm.groups()),
          made.mean().handle(),
          made.rstd().handle(),
          Wide.of(gamma),
          x.size(0),
          x.size(3),
          x.size(1) * x.size(2),
          norm.groups(),
          wanted);
    }

    @Override
    org.bytedeco.pytorch.Tensor inOurLayout(org.bytedeco.pytorch.Tensor theirs) {
      return ChannelsLast.out(theirs);
    }
  }
}
