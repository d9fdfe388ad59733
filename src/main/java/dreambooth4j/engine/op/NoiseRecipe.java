package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.NoiseKernels;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * What noise is made of: normal draws, which {@link Offset} shifts, {@link Multires} coarsens and
 * {@link Perturbation} disturbs, in this order. {@link NoiseTarget} adds it to the samples.
 */
public record NoiseRecipe(Offset offset, Multires multires, Perturbation perturbation) {
  /** Normal draws and nothing else. */
  public static final NoiseRecipe PLAIN =
      new NoiseRecipe(
          new Offset(0, false, 0, false), new Multires(0, 0), new Perturbation(0, false, 0));

  /**
   * Offset noise: whole channels of a picture are shifted by a draw of their own.
   *
   * @param strength what the draw is multiplied with; 0 for none
   * @param random whether that is multiplied with a number from 0 to 1 drawn for each row
   * @param adaptive added to the strength, times the size of the channel's mean; the strength is
   *     never below 0
   * @param generalised whether the strength is multiplied with a factor of the row's timestep
   */
  public record Offset(double strength, boolean random, double adaptive, boolean generalised) {
    boolean isUsed() {
      return strength != 0 || adaptive != 0;
    }

    /** Whether a channel's shift is the strength times the draw. */
    boolean isSimple() {
      return !random && adaptive == 0 && !generalised;
    }
  }

  /**
   * Multi-resolution noise: coarser and coarser noise is added, and all is divided by the standard
   * deviation of the batch. Level i has sides of 1/rᵢⁱ with rᵢ drawn from 2 to 4 and counts
   * discountⁱ; level 0 is a second noise of full size, and the level with a side of 1 the last.
   *
   * @param iterations levels at most; 0 for none
   */
  public record Multires(int iterations, double discount) {}

  /**
   * Noise that disturbs the noise.
   *
   * @param seen how much of it is seen and not in the target (kohya, diffusers); 0 for none
   * @param random whether that is multiplied with a number from 0 to 1 drawn for each row
   * @param both how much of it is seen and in the target too (OneTrainer); 0 for none
   */
  public record Perturbation(double seen, boolean random, double both) {}

  /**
   * Where {@link NoiseTarget#apply} gets the noise from.
   *
   * @param offsetFactors of the offset at each timestep, F32 [timesteps]
   * @return its tensors, if any, are held by the arena
   */
  public NoiseKernels.Noise noise(
      Arena arena, NoiseDraws draws, Tensor x0, Tensor timesteps, Tensor offsetFactors) {
    @Nullable Tensor given = draws.given().get(NoiseDraws.NOISE);
    if (multires.iterations == 0
        && perturbation.both == 0
        && (!offset.isUsed() || offset.isSimple())) {
      return new NoiseKernels.Noise(
          draws.key(NoiseDraws.NOISE),
          draws.key(NoiseDraws.OFFSET),
          offset.strength,
          given,
          draws.given().get(NoiseDraws.OFFSET));
    }
    Tensor e = draws.normal(arena, NoiseDraws.NOISE, x0.shape());
    if (offset.isUsed()) {
      e = shifted(arena, draws, x0, timesteps, offsetFactors, e);
    }
    if (multires.iterations > 0) {
      e = coarsened(arena, draws, e);
    }
    if (perturbation.both != 0) {
      Tensor more = draws.normal(arena, NoiseDraws.BOTH, x0.shape());
      e = added(arena, e, perturbation.both, more);
    }
    return new NoiseKernels.Noise(0, 0, 0, e, null);
  }

  private Tensor shifted(
      Arena arena, NoiseDraws draws, Tensor x0, Tensor timesteps, Tensor offsetFactors, Tensor e) {
    long rows = x0.size(0);
    Tensor draw = draws.normal(arena, NoiseDraws.OFFSET, rows, 1, 1, x0.size(-1));
    @Nullable Tensor part = offset.random ? draws.uniform(arena, "strength of offset noise") : null;
    Tensor shifted =
        arena.compute(
            "offset noise",
            () -> {
              var strength = torch.full_like(draw.handle(), new Scalar(offset.strength));
              if (part != null) {
                strength.mul_(part.handle().view(rows, 1, 1, 1));
              }
              if (offset.adaptive != 0) {
                var means = x0.handle().view(rows, -1, x0.size(-1)).mean(1).abs_();
                strength.add_(means.view(rows, 1, 1, -1), new Scalar(offset.adaptive));
                strength.clamp_min_(new Scalar(0));
              }
              if (offset.generalised) {
                var factors = offsetFactors.handle().gather(0, timesteps.handle());
                strength.mul_(factors.view(rows, 1, 1, 1));
              }
              return e.handle().add(strength.mul_(draw.handle()));
            });
    release(e, draw, part);
    return shifted;
  }

  private Tensor coarsened(Arena arena, NoiseDraws draws, Tensor noise) {
    Tensor sum = noise;
    long height = noise.size(1);
    long width = noise.size(2);
    for (int i = 0; i < multires.iterations; i++) {
      double reduction = Math.pow(draws.drawRadius(i), i);
      long h = Math.max(1, (long) (height / reduction));
      long w = Math.max(1, (long) (width / reduction));
      Tensor level = draws.normal(arena, NoiseDraws.level(i), noise.size(0), h, w, noise.size(3));
      Tensor large =
          arena.compute(
              "noise",
              () ->
                  ChannelsLast.out(
                      torch.upsample_bilinear2d(
                          ChannelsLast.in(level.handle()), new long[] {height, width}, false)));
      level.release();
      sum = added(arena, sum, Math.pow(multires.discount, i), large);
      if (h == 1 || w == 1) {
        break;
      }
    }
    Tensor wide = sum;
    Tensor scaled = arena.compute("noise", () -> wide.handle().div(wide.handle().std()));
    wide.release();
    return scaled;
  }

  /** Takes both. */
  private static Tensor added(Arena arena, Tensor e, double factor, Tensor more) {
    Tensor sum = WeightedSum.of(arena, new double[] {1, factor}, e, more);
    release(e, more, null);
    return sum;
  }

  private static void release(Tensor first, Tensor second, @Nullable Tensor third) {
    first.release();
    second.release();
    if (third != null) {
      third.release();
    }
  }

  /**
   * What the network is to see of samples that noise was added to: takes {@code noised}, and gives
   * it back where nothing disturbs it.
   *
   * @param roots F32 [timesteps, 2]: √ᾱ and √(1 − ᾱ)
   */
  public NoiseTarget.Result perturbed(
      Arena arena, NoiseDraws draws, Tensor timesteps, Tensor roots, NoiseTarget.Result noised) {
    if (perturbation.seen == 0) {
      return noised;
    }
    Tensor noisy = noised.noisy();
    Tensor more = draws.normal(arena, NoiseDraws.SEEN, noisy.shape());
    @Nullable Tensor part =
        perturbation.random ? draws.uniform(arena, "strength of perturbation") : null;
    Tensor seen =
        arena.compute(
            "noisy",
            () -> {
              var factor =
                  NoiseTarget.root(roots, timesteps, 1).mul_(new Scalar(perturbation.seen));
              if (part != null) {
                factor.mul_(part.handle());
              }
              long[] column = {factor.size(0), 1, 1, 1};
              return noisy.handle().addcmul(factor.view(column), more.handle());
            });
    release(noisy, more, part);
    return new NoiseTarget.Result(seen, noised.target());
  }
}
