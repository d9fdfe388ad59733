package dreambooth4j.engine;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * Adafactor (Shazeer and Stern, 2018), as transformers computes it: of the running mean of the
 * squared gradients only the means of its rows and of its columns are kept, which takes hardly any
 * memory. Rows and columns are those of the last two axes that files have: of a convolution the
 * sides of its kernel. A vector's mean is kept whole. Where {@code beta1} is not 0, a running mean
 * of the updates takes their place.
 */
final class Adafactor implements TensorRule {
  static final String NAME = "Adafactor";

  /** Added to squared gradients. */
  private static final double LEAST_SQUARE = 1e-30;

  /** The least size that weights count as where steps are scaled by it. */
  private static final double LEAST_SCALE = 1e-3;

  private final double weightDecay;
  private final double beta1;
  private final double decayRate;
  private final double clipThreshold;
  private final boolean relative;
  private final boolean scaled;
  private final boolean warmup;

  Adafactor(Constants constants) {
    weightDecay = constants.weightDecay();
    beta1 = constants.argument("beta1", 0);
    decayRate = constants.argument("decay_rate", -0.8);
    clipThreshold = constants.argument("clip_threshold", 1);
    relative = constants.flag("relative_step");
    scaled = constants.flag("scale_parameter");
    warmup = constants.flag("warmup_init");
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
    return beta1 == 0 ? List.of() : List.of(new Remembered("mean", DynamicCode.SIGNED));
  }

  @Override
  public List<StateTensor> ofTensors() {
    return List.of(
        new StateTensor("rows", DType.F32, StateTensor.Extent.ROWS),
        new StateTensor("columns", DType.F32, StateTensor.Extent.COLUMNS));
  }

  /** The learning rate of a step, before weights are looked at. */
  private double rate(Step step) {
    if (!relative) {
      return step.learningRate();
    }
    double k = (double) step.number();
    return Math.min(warmup ? 1e-6 * k : 1e-2, 1 / Math.sqrt(k));
  }

  @Override
  public Pull pull(Step step) {
    if (scaled) {
      throw new IllegalStateException("with scale_parameter the rate is known in the update alone");
    }
    return new Pull(rate(step), 0);
  }

  @Override
  public void update(
      Step step,
      long[] shape,
      Tensor weights,
      Tensor gradients,
      List<Tensor> moments,
      List<Tensor> own) {
    double kept = 1 - Math.pow((double) step.number(), decayRate);
    Native.run(
        "adafactor",
        () -> {
          var w = weights.handle();
          var g = gradients.handle().mul_(new Scalar(step.gradientFactor()));
          var rows = own.get(0).handle();
          var columns = own.get(1).handle();
          var squares = g.mul(g).add_(new Scalar(LEAST_SQUARE));
          var update =
              shape.length == 1
                  ? g.mul_(averaged(rows, squares, kept).rsqrt())
                  : g.mul_(factored(shape, rows, columns, squares, kept));
          update.div_(rms(update).div_(new Scalar(clipThreshold)).clamp_min_(new Scalar(1)));
          var rate =
              torch.full(new long[0], new Scalar(rate(step))).to(w.device(), w.scalar_type());
          if (scaled) {
            rate.mul_(rms(w).clamp_min_(new Scalar(LEAST_SCALE)));
          }
          update.mul_(rate);
          if (beta1 != 0) {
            var mean = moments.get(0).handle();
            update = mean.mul_(new Scalar(beta1)).add_(update, new Scalar(1 - beta1));
          }
          if (weightDecay != 0) {
            w.sub_(w.mul(rate.mul_(new Scalar(weightDecay))));
          }
          w.sub_(update);
        });
  }

  /** 1 / √ of the mean squares as rows and columns give them, to be repeated over the tensor. */
  private static org.bytedeco.pytorch.Tensor factored(
      long[] shape,
      org.bytedeco.pytorch.Tensor rows,
      org.bytedeco.pytorch.Tensor columns,
      org.bytedeco.pytorch.Tensor squares,
      double kept) {
    int last = StateTensor.Extent.lastAxis(shape);
    var ofRows = squares.mean(new long[] {last}, true, new ScalarTypeOptional());
    var ofColumns = squares.mean(new long[] {last - 1}, true, new ScalarTypeOptional());
    averaged(rows, ofRows.reshape(-1), kept);
    averaged(columns, ofColumns.reshape(-1), kept);
    var row = rows.view(ofRows.sizes());
    var mean = row.mean(new long[] {last - 1}, true, new ScalarTypeOptional());
    return row.div(mean).rsqrt_().mul(columns.view(ofColumns.sizes()).rsqrt());
  }

  private static org.bytedeco.pytorch.Tensor averaged(
      org.bytedeco.pytorch.Tensor mean, org.bytedeco.pytorch.Tensor now, double kept) {
    return mean.mul_(new Scalar(kept)).add_(now, new Scalar(1 - kept));
  }

  private static org.bytedeco.pytorch.Tensor rms(org.bytedeco.pytorch.Tensor of) {
    return of.mul(of).mean().sqrt_();
  }
}
