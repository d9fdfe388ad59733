package dreambooth4j.engine;

import java.util.List;
import org.bytedeco.pytorch.Scalar;

/**
 * Gradient descent with momentum, as {@code torch.optim.SGD} computes it: each weight moves by the
 * sum of all gradients, the older the less; with Nesterov's momentum a step further. The decay is
 * added to the gradient. Its kernel is {@code sgd.cu}.
 */
final class Sgd implements UpdateRule {
  static final String NAME = "SGD";

  private final double decay;
  private final double momentum;
  private final boolean nesterov;

  Sgd(Constants constants) {
    decay = constants.weightDecay();
    momentum = constants.argument("momentum", 0.9);
    nesterov = constants.argument("nesterov", 1) != 0;
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<Remembered> moments() {
    return List.of(new Remembered("momentum", DynamicCode.SIGNED));
  }

  @Override
  public double[] kernelConstants() {
    return new double[] {momentum, decay, nesterov ? 1 : 0};
  }

  @Override
  public void update(Step step, Tensor weights, Tensor gradients, List<Tensor> moments) {
    Native.run(
        "sgd",
        () -> {
          org.bytedeco.pytorch.Tensor w = weights.handle();
          org.bytedeco.pytorch.Tensor sum = moments.get(0).handle();
          org.bytedeco.pytorch.Tensor g =
              gradients.handle().mul_(new Scalar(step.gradientFactor()));
          g.add_(w, new Scalar(decay));
          sum.mul_(new Scalar(momentum)).add_(g);
          org.bytedeco.pytorch.Tensor way = nesterov ? g.add_(sum, new Scalar(momentum)) : sum;
          w.add_(way, new Scalar(-step.learningRate()));
        });
  }

  @Override
  public InF32 inF32(Step step) {
    float factor = (float) step.gradientFactor();
    float kept = (float) momentum;
    float shrinking = (float) decay;
    float rate = (float) step.learningRate();
    return (w, g, moments, n) -> {
      float[] sum = moments[0];
      for (int i = 0; i < n; i++) {
        float gradient = g[i] * factor + shrinking * w[i];
        sum[i] = kept * sum[i] + gradient;
        w[i] -= rate * (nesterov ? gradient + kept * sum[i] : sum[i]);
      }
    };
  }
}
