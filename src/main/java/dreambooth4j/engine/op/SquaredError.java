package dreambooth4j.engine.op;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/**
 * The weighted squared error of each row: y[i] = wᵢ · mean((predictionᵢ − targetᵢ)²), the mean over
 * all but the outermost axis. prediction, target [B, ..], y [B]; keeps both and the weights. The
 * loss is the sum of y: seed the walk back with ones.
 */
public final class SquaredError {
  private SquaredError() {}

  /**
   * Compares.
   *
   * @param weights wᵢ, one a row
   */
  public static Var apply(Tape tape, Var prediction, Tensor target, double[] weights) {
    if (weights.length != prediction.size(0) || !target.hasShape(prediction.value().shape())) {
      throw new IllegalArgumentException(
          "prediction %s, target %s, %d weights"
              .formatted(prediction.value(), target, weights.length));
    }
    Tensor w = weights(tape, weights, target.dtype());
    Tensor errors =
        tape.arena()
            .compute(
                "squared_error",
                () -> {
                  org.bytedeco.pytorch.Tensor d = difference(prediction, target);
                  return d.mul_(d).mean(1).mul_(w.handle());
                });
    Var output =
        tape.record(
            "squared_error",
            errors,
            prediction.needsGradient(),
            List.of(prediction.value(), target, w),
            dy -> prediction.accumulate(dPrediction(tape, prediction, target, w, dy)));
    w.release();
    return output;
  }

  /** prediction − target as [B, elements of a row]. */
  private static org.bytedeco.pytorch.Tensor difference(Var prediction, Tensor target) {
    return prediction.handle().sub(target.handle()).view(prediction.size(0), -1);
  }

  /** 2 wᵢ dyᵢ (predictionᵢ − targetᵢ) / n, n the elements of a row. */
  private static Tensor dPrediction(
      Tape tape, Var prediction, Tensor target, Tensor weights, Tensor dy) {
    long rows = prediction.size(0);
    double n = (double) prediction.value().count() / rows;
    return tape.arena()
        .compute(
            "squared_error.dprediction",
            () -> {
              org.bytedeco.pytorch.Tensor factor =
                  weights.handle().mul(dy.handle()).mul_(new org.bytedeco.pytorch.Scalar(2 / n));
              return difference(prediction, target)
                  .mul_(factor.view(rows, 1))
                  .view(prediction.value().shape());
            });
  }

  private static Tensor weights(Tape tape, double[] weights, DType dtype) {
    Tensor doubles = tape.arena().allocate("weights", DType.F64, weights.length);
    doubles.copyFrom(weights);
    Tensor converted =
        tape.arena()
            .compute("weights", () -> doubles.handle().to(Native.scalarType(dtype)).clone());
    doubles.release();
    return converted;
  }
}
