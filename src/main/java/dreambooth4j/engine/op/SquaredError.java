package dreambooth4j.engine.op;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/**
 * The weighted squared error that every loss of ours is: L = Σᵢ wᵢ · mean((predictionᵢ −
 * targetᵢ)²), the mean over all but the outermost axis. prediction, target [B, ..]; keeps
 * prediction and target.
 */
public final class SquaredError {
  private SquaredError() {}

  /** The mean squared error of each row, unweighted: a new tensor [B] of the tape's arena. */
  public static Tensor rows(Tape tape, Var prediction, Tensor target) {
    return tape.arena()
        .compute(
            "squared_error.rows",
            () -> {
              org.bytedeco.pytorch.Tensor d = prediction.at().sub(target.at());
              return d.mul_(d).view(prediction.size(0), -1).mean(1);
            });
  }

  /**
   * L, a value of shape [1].
   *
   * @param weights wᵢ, one a row
   */
  public static Var apply(Tape tape, Var prediction, Tensor target, double[] weights) {
    long rows = prediction.size(0);
    if (weights.length != rows || !target.hasShape(prediction.value().shape())) {
      throw new IllegalArgumentException(
          "prediction %s, target %s, %d weights"
              .formatted(prediction.value(), target, weights.length));
    }
    Tensor errors = rows(tape, prediction, target);
    Tensor w = weights(tape, weights, errors.dtype());
    Tensor loss =
        tape.arena().compute("squared_error", () -> errors.at().mul(w.at()).sum().view(1));
    errors.release();
    Var output =
        tape.record(
            "squared_error",
            loss,
            prediction.needsGradient(),
            List.of(prediction.value(), target, w),
            dy -> prediction.accumulate(dPrediction(tape, prediction, target, w, dy)));
    w.release();
    return output;
  }

  /** 2 wᵢ (prediction − target) / n · dy, n the elements of a row. */
  private static Tensor dPrediction(
      Tape tape, Var prediction, Tensor target, Tensor weights, Tensor dy) {
    long rows = prediction.size(0);
    double n = (double) prediction.value().count() / rows;
    return tape.arena()
        .compute(
            "squared_error.dprediction",
            () -> {
              org.bytedeco.pytorch.Tensor d = prediction.at().sub(target.at());
              org.bytedeco.pytorch.Tensor factor =
                  weights.at().mul(dy.at()).mul_(new org.bytedeco.pytorch.Scalar(2 / n));
              d.view(rows, -1).mul_(factor.view(rows, 1));
              return d;
            });
  }

  private static Tensor weights(Tape tape, double[] weights, DType dtype) {
    Tensor doubles = tape.arena().allocate("weights", DType.F64, weights.length);
    doubles.bytes(0, weights.length * 8).asDoubleBuffer().put(weights);
    Tensor converted =
        tape.arena().compute("weights", () -> doubles.at().to(Native.scalarType(dtype)).clone());
    doubles.release();
    return converted;
  }
}
