package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Sinusoidal embedding of timesteps (Ho et al. 2020, as diffusers' {@code get_timestep_embedding}
 * has it). Computed by libtorch in F32 as diffusers does: at t ≈ 1000 another rounding of the
 * frequencies would already show in the fifth digit.
 */
public final class Sinusoidal {
  private Sinusoidal() {}

  /**
   * [B, width] for timesteps F32 [B]; {@code width} is even.
   *
   * @param cosineFirst diffusers' {@code flip_sin_to_cos}
   * @param frequencyShift diffusers' {@code freq_shift}
   */
  public static Tensor of(
      Arena arena, Tensor timesteps, long width, boolean cosineFirst, double frequencyShift) {
    long half = width / 2;
    return arena.compute(
        "timestep_embedding",
        () -> {
          org.bytedeco.pytorch.Tensor frequencies =
              torch
                  .arange(new Scalar(half), timesteps.handle().options())
                  .mul_(new Scalar(-Math.log(10000)))
                  .div_(new Scalar(half - frequencyShift))
                  .exp_();
          org.bytedeco.pytorch.Tensor angles =
              timesteps.handle().view(-1, 1).mul(frequencies.view(1, -1));
          return cosineFirst
              ? torch.cat(new TensorVector(angles.cos(), angles.sin()), 1)
              : torch.cat(new TensorVector(angles.sin(), angles.cos()), 1);
        });
  }
}
