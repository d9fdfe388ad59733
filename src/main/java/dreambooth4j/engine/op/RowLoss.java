package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.kernel.Launcher;
import dreambooth4j.engine.kernel.LossKernels;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * The loss of a batch of instance rows and, behind them, prior rows, element by element of a {@link
 * dreambooth4j.engine.LossForm}:
 *
 * <pre>
 *   wᵢ       = 1 / rows of the half × weight of its timestep × its own weight
 *   instance = Σ wᵢ · mean(maskᵢ · cost(predictionᵢ − targetᵢ)) over the instance rows; prior likewise
 *   total    = instance + λ · prior; see {@link LossKernels.Weights} for both together
 * </pre>
 *
 * A half without rows adds nothing. The host decides nothing: all weights are tensors.
 *
 * <table>
 * <caption>Tensors; B rows</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th><th>owner</th></tr>
 * <tr><td>prediction</td><td>[B, ..]</td><td>any float</td><td>the tape; not saved</td></tr>
 * <tr><td>target</td><td>[B, ..]</td><td>F32 or F64</td><td>the caller; not saved</td></tr>
 * <tr><td>losses</td><td>[3]</td><td>F32 or F64</td><td>the caller: fraction × (total, instance,
 * prior) is added</td></tr>
 * <tr><td>y</td><td>[1]</td><td>as losses</td><td>the tape: losses[0], a copy</td></tr>
 * <tr><td>dprediction</td><td>[B, ..]</td><td>as prediction</td><td>saved: forward computes it,
 * with fraction and loss scale in it</td></tr>
 * </table>
 *
 * <p>Where the total is not finite, dprediction holds a number that is not either: then the norm of
 * the gradients is not finite, and no optimizer updates.
 */
public final class RowLoss {
  private RowLoss() {}

  /** Compares; see the class. Seed the backward of the result with 1. */
  public static Var apply(
      Tape tape,
      Var prediction,
      Tensor target,
      LossKernels.Weights weights,
      LossKernels.Measure measure,
      Tensor losses) {
    int rows = (int) prediction.size(0);
    if (weights.instances() < 1
        || weights.instances() > rows
        || !weights.ofRow().hasShape(rows)
        || !target.hasShape(prediction.value().shape())) {
      throw new IllegalArgumentException(
          "prediction %s, target %s, %d instance rows, weights %s"
              .formatted(prediction.value(), target, weights.instances(), weights.ofRow()));
    }
    Arena arena = tape.arena();
    Tensor gradient = compared(arena, prediction.value(), target, weights, measure, losses);
    Tensor total = arena.compute("row_loss", () -> losses.handle().narrow(0, 0, 1).clone());
    Var output =
        tape.record(
            "row_loss",
            total,
            prediction.needsGradient(),
            List.of(gradient),
            dy -> prediction.accumulate(scaled(arena, gradient, dy)));
    gradient.release();
    return output;
  }

  /**
   * A mask of what another one leaves out: {@code weight} · (1 − mask), of its shape, held by the
   * caller.
   */
  public static Tensor outside(Arena arena, Tensor mask, double weight) {
    return arena.compute(
        "outside", () -> mask.handle().mul(new Scalar(-weight)).add_(new Scalar(weight)));
  }

  private static Tensor scaled(Arena arena, Tensor gradient, Tensor dy) {
    return arena.compute(
        "row_loss.dprediction", () -> gradient.handle().mul(dy.handle().squeeze()));
  }

  private static Tensor compared(
      Arena arena,
      Tensor prediction,
      Tensor target,
      LossKernels.Weights weights,
      LossKernels.Measure measure,
      Tensor losses) {
    @Nullable Launcher device = Kernels.of(arena);
    if (device == null || !LossKernels.take(prediction, target)) {
      return plain(arena, prediction, target, weights, measure, losses);
    }
    Tensor gradient = arena.allocate("dprediction", prediction.dtype(), prediction.shape());
    Tensor partial = arena.allocate("partial", DType.F64, LossKernels.partials(prediction));
    LossKernels.apply(device, weights, measure, prediction, target, partial, gradient, losses);
    partial.release();
    return gradient;
  }

  /** The plain form: in the target's type. */
  private static Tensor plain(
      Arena arena,
      Tensor prediction,
      Tensor target,
      LossKernels.Weights weights,
      LossKernels.Measure measure,
      Tensor losses) {
    long rows = prediction.size(0);
    long instances = weights.instances();
    double n = (double) prediction.count() / rows;
    return arena.compute(
        "row_loss.dprediction",
        () -> {
          var type = Native.scalarType(target.dtype());
          var d = prediction.handle().sub(target.handle());
          var c = thresholds(weights, measure, prediction.rank(), type);
          var cost = measure.form().cost(d, c);
          var slope = measure.form().slope(d, c);
          Tensor mask = measure.mask();
          if (mask != null) {
            var seen = mask.handle().to(type).unsqueeze(-1);
            cost.mul_(seen);
            slope.mul_(seen);
          }
          var w = ofRows(weights, type);
          var errors = cost.view(rows, -1).mean(1).mul_(w);
          var instance = errors.narrow(0, 0, instances).sum();
          var prior = errors.narrow(0, instances, rows - instances).sum();
          var halves = halves(weights, rows, type);
          var total = halves[1].mul(prior).add_(halves[0].mul(instance));
          var fraction = weights.fraction().handle().to(type);
          losses.handle().narrow(0, 0, 1).add_(total.mul(fraction));
          losses.handle().narrow(0, 1, 1).add_(fraction.mul(instance));
          losses.handle().narrow(0, 2, 1).add_(fraction.mul(prior));
          w.narrow(0, 0, instances).mul_(halves[0]);
          w.narrow(0, instances, rows - instances).mul_(halves[1]);
          w.mul_(fraction).mul_(weights.lossScale().handle().to(type)).mul_(new Scalar(1 / n));
          w.add_(total.sub(total)); // 0, or not a number
          return slope
              .mul_(w.view(column(rows, prediction.rank())))
              .to(Native.scalarType(prediction.dtype()));
        });
  }

  /** The weight of each row in the mean of its half: [B]. */
  private static org.bytedeco.pytorch.Tensor ofRows(
      LossKernels.Weights weights, torch.ScalarType type) {
    long instances = weights.instances();
    var w =
        weights
            .ofTimestep()
            .handle()
            .gather(0, weights.timesteps().handle())
            .mul_(weights.ofRow().handle())
            .to(type);
    long priors = w.size(0) - instances;
    w.narrow(0, 0, instances).mul_(new Scalar(1.0 / instances));
    if (priors > 0) {
      w.narrow(0, instances, priors).mul_(new Scalar(1.0 / priors));
    }
    return w;
  }

  /** What the mean of each half counts in the total: the instance rows', the prior rows'. */
  private static org.bytedeco.pytorch.Tensor[] halves(
      LossKernels.Weights weights, long rows, torch.ScalarType type) {
    var lambda = weights.prior().handle().to(type);
    if (!weights.together()) {
      return new org.bytedeco.pytorch.Tensor[] {torch.ones_like(lambda), lambda};
    }
    double instances = (double) weights.instances() / rows;
    double priors = 1 - instances;
    var both = lambda.mul(new Scalar(priors)).add_(new Scalar(instances));
    return new org.bytedeco.pytorch.Tensor[] {
      both.mul(new Scalar(instances)), both.mul(new Scalar(priors))
    };
  }

  /** The form's threshold of each row, to be repeated over its elements. */
  private static org.bytedeco.pytorch.Tensor thresholds(
      LossKernels.Weights weights, LossKernels.Measure measure, int rank, torch.ScalarType type) {
    Tensor all = measure.thresholds();
    var timesteps = weights.timesteps().handle();
    var c = all == null ? torch.ones_like(timesteps) : all.handle().gather(0, timesteps);
    return c.to(type).view(column(timesteps.size(0), rank));
  }

  private static long[] column(long rows, int rank) {
    long[] shape = new long[rank];
    Arrays.fill(shape, 1);
    shape[0] = rows;
    return shape;
  }
}
