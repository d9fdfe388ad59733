package dreambooth4j.engine;

import java.util.List;
import org.bytedeco.pytorch.Scalar;

/**
 * Prodigy (Mishchenko and Defazio, 2023), as the {@code prodigyopt} package computes it: AdamW
 * whose learning rate is the step's times d, an estimate of how far the weights have to go that
 * grows with how far the gradients agree with the way that was gone. There is one d for all groups.
 * How far each weight has moved is remembered rather than where it began, for of small d the
 * difference would be rounded away.
 */
final class Prodigy implements SurveyingRule {
  static final String NAME = "Prodigy";

  // The groups' numbers.
  private static final int D = 0;
  private static final int NUMERATOR = 1;
  private static final int RATE = 2;

  private final Constants constants;
  private final double d0;
  private final double coefficient;
  private final double beta3;
  private final boolean corrects;
  private final boolean safeguard;

  Prodigy(Constants constants) {
    this.constants = constants;
    d0 = constants.argument("d0", 1e-6);
    coefficient = constants.argument("d_coef", 1);
    beta3 = Math.sqrt(constants.beta2());
    corrects = constants.flag("use_bias_correction");
    safeguard = constants.flag("safeguard_warmup");
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public boolean hasKernel() {
    return false;
  }

  @Override
  public List<Remembered> moments() {
    return List.of(
        new Remembered("mean", DynamicCode.SIGNED),
        new Remembered("variance", DynamicCode.UNSIGNED),
        new Remembered("gradients", DynamicCode.SIGNED),
        new Remembered("moved", DynamicCode.SIGNED));
  }

  /** The estimate, its numerator, and the learning rate that follows from it. */
  @Override
  public List<GroupNumber> numbers() {
    return List.of(
        new GroupNumber("d", d0), new GroupNumber("numerator", 0), new GroupNumber("rate", 0));
  }

  /** The learning rate by the estimate that a step finds. */
  private double rate(Step step) {
    double k = (double) step.number();
    double correction =
        corrects
            ? Math.sqrt(1 - Math.pow(constants.beta2(), k)) / (1 - Math.pow(constants.beta1(), k))
            : 1;
    return step.numbers().get(D) * step.learningRate() * correction;
  }

  @Override
  public double[] survey(Step step, Tensor gradients, List<Tensor> moments) {
    double d = step.numbers().get(D);
    double rate = rate(step);
    return Native.call(
        "prodigy",
        () -> {
          org.bytedeco.pytorch.Tensor g =
              gradients.handle().mul_(new Scalar(step.gradientFactor()));
          org.bytedeco.pytorch.Tensor moved = moments.get(3).handle();
          double agreement = -moved.mul(g).sum().item_double();
          moments
              .get(0)
              .handle()
              .mul_(new Scalar(constants.beta1()))
              .add_(g, new Scalar(d * (1 - constants.beta1())));
          moments
              .get(1)
              .handle()
              .mul_(new Scalar(constants.beta2()))
              .addcmul_(g, g, new Scalar(d * d * (1 - constants.beta2())));
          org.bytedeco.pytorch.Tensor sums =
              moments
                  .get(2)
                  .handle()
                  .mul_(new Scalar(beta3))
                  .add_(g, new Scalar(d / d0 * (safeguard ? d : rate)));
          return new double[] {d / d0 * rate * agreement, sums.abs().sum().item_double()};
        });
  }

  @Override
  public List<Double> next(Step step, double[] sums) {
    double d = step.numbers().get(D);
    double rate = rate(step);
    double numerator = beta3 * step.numbers().get(NUMERATOR) + sums[0];
    double estimate = rate > 0 && sums[1] > 0 ? coefficient * numerator / sums[1] : 0;
    return List.of(Math.max(d, estimate), numerator, rate);
  }

  /** What pulls a weight moves it, too. */
  @Override
  public Pull pull(Step step) {
    double rate = step.numbers().get(RATE);
    return new Pull(rate, rate);
  }

  /** By the numbers of {@link #next}: the rate is still that of the d before. */
  @Override
  public void update(Step step, Tensor weights, Tensor gradients, List<Tensor> moments) {
    double d = step.numbers().get(D);
    double rate = step.numbers().get(RATE);
    Native.run(
        "prodigy",
        () -> {
          org.bytedeco.pytorch.Tensor w = weights.handle();
          org.bytedeco.pytorch.Tensor root =
              moments.get(1).handle().sqrt().add_(new Scalar(d * constants.epsilon()));
          org.bytedeco.pytorch.Tensor way =
              moments.get(0).handle().div(root).add_(w, new Scalar(constants.weightDecay()));
          w.add_(way, new Scalar(-rate));
          moments.get(3).handle().add_(way, new Scalar(-rate));
        });
  }
}
