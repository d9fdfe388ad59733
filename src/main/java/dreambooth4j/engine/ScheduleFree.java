package dreambooth4j.engine;

import java.util.List;
import org.bytedeco.pytorch.Scalar;

/**
 * Schedule-free AdamW (Defazio et al., 2024), as the {@code schedulefree} package computes it.
 * Steps are taken by z, gradients at the weights y, and x, an average of all z, is what is saved; y
 * lies between x and z. Beside y the distance z − y is remembered, from which x follows: so it
 * begins as 0. The later steps count in the average by their learning rate.
 */
final class ScheduleFree implements UpdateRule {
  static final String NAME = "AdamWScheduleFree";

  // The group's numbers.
  private static final int SHARE = 0;
  private static final int WEIGHTS = 1;
  private static final int MOST_RATE = 2;

  private final Constants constants;
  private final double power;
  private final double ratePower;

  ScheduleFree(Constants constants) {
    this.constants = constants;
    power = constants.argument("r", 0);
    ratePower = constants.argument("weight_lr_power", 2);
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
        new Remembered("variance", DynamicCode.UNSIGNED),
        new Remembered("distance", DynamicCode.SIGNED));
  }

  @Override
  public List<GroupNumber> numbers() {
    return List.of(
        new GroupNumber("share", 0),
        new GroupNumber("weight_sum", 0),
        new GroupNumber("most_rate", 0));
  }

  @Override
  public List<Double> next(Step step) {
    double most = Math.max(step.learningRate(), step.numbers().get(MOST_RATE));
    double weight = Math.pow((double) step.number(), power) * Math.pow(most, ratePower);
    double sum = step.numbers().get(WEIGHTS) + weight;
    return List.of(sum == 0 ? 0 : weight / sum, sum, most);
  }

  /** x = y + (1 − 1/β₁)(z − y). */
  @Override
  public double savedAt() {
    return 1 - 1 / constants.beta1();
  }

  /** z is pulled, and x stays: so y moves by 1 − β₁ of it, and z − y by the rest. */
  @Override
  public Pull pull(Step step) {
    double rate = step.learningRate();
    return new Pull(rate * (1 - constants.beta1()), rate * constants.beta1());
  }

  @Override
  public void update(Step step, Tensor weights, Tensor gradients, List<Tensor> moments) {
    double beta1 = constants.beta1();
    double beta2 = constants.beta2();
    double share = step.numbers().get(SHARE);
    double rate = step.learningRate();
    double corrected = 1 / Math.sqrt(1 - Math.pow(beta2, (double) step.number()));
    Native.run(
        "schedule-free",
        () -> {
          org.bytedeco.pytorch.Tensor y = weights.handle();
          org.bytedeco.pytorch.Tensor g =
              gradients.handle().mul_(new Scalar(step.gradientFactor()));
          org.bytedeco.pytorch.Tensor variance = moments.get(0).handle();
          variance.mul_(new Scalar(beta2)).addcmul_(g, g, new Scalar(1 - beta2));
          org.bytedeco.pytorch.Tensor root =
              variance.sqrt().mul_(new Scalar(corrected)).add_(new Scalar(constants.epsilon()));
          org.bytedeco.pytorch.Tensor way =
              g.div_(root).add_(y, new Scalar(constants.weightDecay()));
          org.bytedeco.pytorch.Tensor distance = moments.get(1).handle();
          y.add_(distance, new Scalar(share))
              .add_(way, new Scalar(rate * (beta1 * (1 - share) - 1)));
          distance.add_(way, new Scalar(-rate * beta1)).mul_(new Scalar(1 - share));
        });
  }
}
