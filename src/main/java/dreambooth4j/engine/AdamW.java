package dreambooth4j.engine;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * AdamW (Loshchilov and Hutter 2019) as {@code torch.optim.AdamW} computes it: a running mean of
 * the gradients, divided by the root of the running mean of their squares. Its kernel is {@code
 * adamw.cu}.
 */
final class AdamW implements UpdateRule {
  static final String NAME = "AdamW";

  private final Constants constants;

  AdamW(Constants constants) {
    this.constants = constants;
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<Remembered> moments() {
    return List.of(
        new Remembered("mean", DynamicCode.SIGNED),
        new Remembered("variance", DynamicCode.UNSIGNED));
  }

  @Override
  public double[] kernelConstants() {
    return new double[] {
      constants.beta1(), constants.beta2(), constants.epsilon(), constants.weightDecay()
    };
  }

  /** By libtorch's fused AdamW. */
  @Override
  public void update(
      Step step,
      dreambooth4j.engine.Tensor weights,
      dreambooth4j.engine.Tensor gradients,
      List<dreambooth4j.engine.Tensor> moments) {
    Native.run(
        "adamw",
        () -> {
          Tensor like = weights.handle();
          Boxed.call(
              "_fused_adamw_",
              list(like),
              list(gradients.handle()),
              list(moments.get(0).handle()),
              list(moments.get(1).handle()),
              list(),
              list(scalar(like, (double) step.number())),
              step.learningRate(),
              constants.beta1(),
              constants.beta2(),
              constants.weightDecay(),
              constants.epsilon(),
              false,
              false,
              step.gradientFactor() == 1 ? null : scalar(like, 1 / step.gradientFactor()),
              null);
        });
  }

  private static Tensor scalar(Tensor like, double value) {
    return torch
        .full(new long[0], new org.bytedeco.pytorch.Scalar(value))
        .to(like.device(), torch.ScalarType.Float);
  }

  private static Tensor[] list(Tensor... tensors) {
    return tensors;
  }

  @Override
  public InF32 inF32(Step step) {
    double number = (double) step.number();
    float factor = (float) step.gradientFactor();
    float beta1 = (float) constants.beta1();
    float rest1 = (float) (1 - constants.beta1()); // in float it would be 0 for a beta close to 1
    float beta2 = (float) constants.beta2();
    float rest2 = (float) (1 - constants.beta2());
    float kept = (float) (1 - step.learningRate() * constants.weightDecay());
    float stepSize = (float) (step.learningRate() / (1 - Math.pow(constants.beta1(), number)));
    float rootFactor = (float) (1 / Math.sqrt(1 - Math.pow(constants.beta2(), number)));
    float epsilon = (float) constants.epsilon();
    return (w, g, moments, n) -> {
      float[] mean = moments[0];
      float[] variance = moments[1];
      for (int i = 0; i < n; i++) {
        float gradient = g[i] * factor;
        float first = beta1 * mean[i] + rest1 * gradient;
        float second = beta2 * variance[i] + rest2 * gradient * gradient;
        float root = (float) Math.sqrt(second) * rootFactor + epsilon;
        w[i] = w[i] * kept - stepSize * first / root;
        mean[i] = first;
        variance[i] = second;
      }
    };
  }
}
