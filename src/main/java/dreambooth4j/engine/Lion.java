package dreambooth4j.engine;

import java.util.List;
import org.bytedeco.pytorch.Scalar;

/**
 * Lion (Chen et al. 2023): each weight moves by the learning rate, in the direction of the sign of
 * a mix of the running mean of the gradients and the newest one; only that mean is remembered. It
 * has no epsilon. Its kernel is {@code lion.cu}.
 */
final class Lion implements UpdateRule {
  static final String NAME = "Lion";

  private final Constants constants;

  Lion(Constants constants) {
    this.constants = constants;
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<Remembered> moments() {
    return List.of(new Remembered("mean", DynamicCode.SIGNED));
  }

  @Override
  public double[] kernelConstants() {
    return new double[] {constants.beta1(), constants.beta2(), constants.weightDecay()};
  }

  /**
   * In place, without a tensor of its own. The gradient g gives way to its distance d from the mean
   * m: what the mean becomes is m + (1 − β₂)d, and the mix is that + (β₂ − β₁)d.
   */
  @Override
  public void update(Step step, Tensor weights, Tensor gradients, List<Tensor> moments) {
    double beta1 = constants.beta1();
    double beta2 = constants.beta2();
    double rate = step.learningRate();
    Native.run(
        "lion",
        () -> {
          org.bytedeco.pytorch.Tensor mean = moments.get(0).handle();
          org.bytedeco.pytorch.Tensor distance =
              gradients.handle().mul_(new Scalar(step.gradientFactor())).sub_(mean);
          mean.add_(distance, new Scalar(1 - beta2));
          org.bytedeco.pytorch.Tensor sign =
              distance.mul_(new Scalar(beta2 - beta1)).add_(mean).sign_();
          weights
              .handle()
              .mul_(new Scalar(1 - rate * constants.weightDecay()))
              .add_(sign, new Scalar(-rate));
        });
  }

  @Override
  public InF32 inF32(Step step) {
    float factor = (float) step.gradientFactor();
    float beta1 = (float) constants.beta1();
    float rest1 = (float) (1 - constants.beta1());
    float beta2 = (float) constants.beta2();
    float rest2 = (float) (1 - constants.beta2());
    float rate = (float) step.learningRate();
    float kept = (float) (1 - step.learningRate() * constants.weightDecay());
    return (w, g, moments, n) -> {
      float[] mean = moments[0];
      for (int i = 0; i < n; i++) {
        float gradient = g[i] * factor;
        float mix = beta1 * mean[i] + rest1 * gradient;
        w[i] = w[i] * kept - rate * Math.signum(mix);
        mean[i] = beta2 * mean[i] + rest2 * gradient;
      }
    };
  }
}
