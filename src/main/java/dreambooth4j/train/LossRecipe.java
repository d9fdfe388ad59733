package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.LossConfig;
import dreambooth4j.config.LossConfig.Debiased;
import dreambooth4j.config.NoiseConfig;
import dreambooth4j.config.TimestepConfig;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.diffusion.TimestepDistribution;
import dreambooth4j.engine.LossForm;
import dreambooth4j.engine.op.NoiseRecipe;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * What the loss of a step is: which noise is added when, and what being off costs.
 *
 * @param objective what is predicted, what an error costs and what each timestep counts, of a
 *     schedule
 * @param split whether instance and class rows are averaged apart
 * @param noise what the noise is made of
 * @param dream how much detail DREAM preserves; null without DREAM
 * @param timesteps how likely each is drawn, of so many
 * @param maskedPrior what it counts to differ from the base model outside of masks
 */
public record LossRecipe(
    Function<NoiseSchedule, Objective> objective,
    boolean split,
    NoiseRecipe noise,
    @Nullable Double dream,
    IntFunction<TimestepDistribution> timesteps,
    double maskedPrior) {
  /** The mean squared error of each half, of plain noise at any timestep. */
  public static final LossRecipe PLAIN =
      new LossRecipe(
          Objective::plain,
          true,
          NoiseRecipe.PLAIN,
          null,
          all -> TimestepDistribution.uniform(TimestepDistribution.Range.of(all)));

  /** The base model is not asked outside of masks. */
  public LossRecipe(
      Function<NoiseSchedule, Objective> objective,
      boolean split,
      NoiseRecipe noise,
      @Nullable Double dream,
      IntFunction<TimestepDistribution> timesteps) {
    this(objective, split, noise, dream, timesteps, 0);
  }

  /** As a run is configured. */
  public static LossRecipe of(Config config) {
    NoiseConfig noise = config.noise();
    return new LossRecipe(
        schedule -> objective(schedule, config.loss()),
        config.loss().splitLoss(),
        noise(noise),
        noise.dream() ? noise.dreamDetail() : null,
        all -> distribution(config.timesteps(), all),
        config.loss().maskedPrior());
  }

  private static NoiseRecipe noise(NoiseConfig noise) {
    return new NoiseRecipe(
        new NoiseRecipe.Offset(
            noise.offset(),
            noise.offsetRandom(),
            noise.offsetAdaptive(),
            noise.offsetGeneralised()),
        new NoiseRecipe.Multires(noise.multiresIterations(), noise.multiresDiscount()),
        new NoiseRecipe.Perturbation(
            noise.seenPerturbation(), noise.seenPerturbationRandom(), noise.perturbation()));
  }

  private static TimestepDistribution distribution(TimestepConfig config, int all) {
    int end = config.end() == null ? all : config.end();
    if (end > all || config.least() >= all) {
      throw Problem.usage(
          "min_timestep: %d and max_timestep: %d: the model has timesteps 0 to %d; max_timestep is at most %d, min_timestep below it"
              .formatted(config.least(), end, all - 1, all));
    }
    double bias = config.bias();
    double weight = config.weight();
    var range = new TimestepDistribution.Range(all, config.least(), end, config.shift());
    return switch (config.distribution()) {
      case UNIFORM -> TimestepDistribution.uniform(range);
      case LOGIT_NORMAL -> TimestepDistribution.logitNormal(range, bias, weight);
      case HEAVY_TAIL -> TimestepDistribution.heavyTail(range, weight);
      case SIGMOID ->
          TimestepDistribution.weighted(range, TimestepDistribution.sigmoid(bias, weight));
      case INVERTED_PARABOLA ->
          TimestepDistribution.weighted(range, TimestepDistribution.invertedParabola(bias, weight));
      case COS_MAP -> TimestepDistribution.weighted(range, TimestepDistribution::cosMap);
    };
  }

  private static Objective objective(NoiseSchedule schedule, LossConfig loss) {
    Objective made = costing(Objective.plain(schedule), loss);
    made = loss.snrGamma() == 0 ? made : made.minSnr(loss.snrGamma());
    made = loss.scaleVLikeNoise() ? made.scaledLikeNoise() : made;
    made = loss.vLikeLoss() == 0 ? made : made.likeVelocityToo(loss.vLikeLoss());
    made =
        loss.debiased() == Debiased.FALSE
            ? made
            : made.debiased(loss.debiased() == Debiased.ONETRAINER);
    return loss.p2Gamma() == 0 ? made : made.p2(loss.p2Gamma());
  }

  private static Objective costing(Objective plain, LossConfig loss) {
    return switch (loss.type()) {
      case L2 -> plain;
      case L1 -> plain.costing(LossForm.ABSOLUTE, 1);
      case LOG_COSH -> plain.costing(LossForm.LOG_COSH, 1);
      case CLASSIC_HUBER -> plain.costing(LossForm.CLASSIC_HUBER, loss.huberDelta());
      case HUBER -> scheduled(plain, LossForm.HUBER, loss);
      case SMOOTH_L1 -> scheduled(plain, LossForm.SMOOTH_L1, loss);
    };
  }

  private static Objective scheduled(Objective plain, LossForm form, LossConfig loss) {
    return switch (loss.huberSchedule()) {
      case CONSTANT -> plain.costing(form, loss.huberC() * loss.huberScale());
      case EXPONENTIAL -> plain.costingExponentially(form, loss.huberC(), loss.huberScale());
      case SNR -> plain.costingBySnr(form, loss.huberC());
    };
  }
}
