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
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.jspecify.annotations.Nullable;

/**
 * The loss of a batch of instance rows and, behind them, prior rows, by the squared error:
 *
 * <pre>
 *   wᵢ       = 1 / rows of the half × weight of its timestep × its own weight
 *   instance = Σ wᵢ · mean((predictionᵢ − targetᵢ)²) over the instance rows; prior likewise
 *   total    = instance + λ · prior
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
      Tape tape, Var prediction, Tensor target, LossKernels.Weights weights, Tensor losses) {
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
    Tensor gradient = compared(arena, prediction.value(), target, weights, losses);
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

  private static Tensor scaled(Arena arena, Tensor gradient, Tensor dy) {
    return arena.compute(
        "row_loss.dprediction", () -> gradient.handle().mul(dy.handle().squeeze()));
  }

  private static Tensor compared(
      Arena arena, Tensor prediction, Tensor target, LossKernels.Weights weights, Tensor losses) {
    @Nullable Launcher device = Kernels.of(arena);
    if (device == null || !LossKernels.take(prediction, target)) {
      return plain(arena, prediction, target, weights, losses);
    }
    Tensor gradient = arena.allocate("dprediction", prediction.dtype(), prediction.shape());
    Tensor partial = arena.allocate("partial", DType.F64, LossKernels.partials(prediction));
    LossKernels.apply(device, weights, prediction, target, partial, gradient, losses);
    partial.release();
    return gradient;
  }

  /** The plain form: in the target's type. */
  private static Tensor plain(
      Arena arena, Tensor prediction, Tensor target, LossKernels.Weights weights, Tensor losses) {
    long rows = prediction.size(0);
    long instances = weights.instances();
    double n = (double) prediction.count() / rows;
    return arena.compute(
        "row_loss.dprediction",
        () -> {
          var type = Native.scalarType(target.dtype());
          var d = prediction.handle().sub(target.handle()).view(rows, -1);
          var w =
              weights
                  .ofTimestep()
                  .handle()
                  .gather(0, weights.timesteps().handle())
                  .mul_(weights.ofRow().handle())
                  .to(type);
          w.narrow(0, 0, instances).mul_(new Scalar(1.0 / instances));
          if (instances < rows) {
            w.narrow(0, instances, rows - instances).mul_(new Scalar(1.0 / (rows - instances)));
          }
          var errors = d.mul(d).mean(1).mul_(w);
          var instance = errors.narrow(0, 0, instances).sum();
          var prior = errors.narrow(0, instances, rows - instances).sum();
          var lambda = weights.prior().handle().to(type);
          var total = lambda.mul(prior).add_(instance);
          var fraction = weights.fraction().handle().to(type);
          losses.handle().narrow(0, 0, 1).add_(total.mul(fraction));
          losses.handle().narrow(0, 1, 1).add_(fraction.mul(instance));
          losses.handle().narrow(0, 2, 1).add_(fraction.mul(prior));
          w.narrow(0, instances, rows - instances).mul_(lambda);
          w.mul_(fraction).mul_(weights.lossScale().handle().to(type)).mul_(new Scalar(2 / n));
          w.add_(total.sub(total)); // 0, or not a number
          return d.mul_(w.view(rows, 1))
              .view(prediction.shape())
              .to(Native.scalarType(prediction.dtype()));
        });
  }
}
