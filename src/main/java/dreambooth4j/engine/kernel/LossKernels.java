package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The combined instance and prior loss and its gradient, {@code prior_loss.cu}; the plain
 * composition is {@code Objective.rowWeights} and {@code engine.op.SquaredError}.
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>prediction, gradient</td><td>[B, ..]</td><td>storage</td></tr>
 * <tr><td>target</td><td>[B, ..]</td><td>F32</td></tr>
 * <tr><td>partial</td><td>{@link #partials}</td><td>F64</td></tr>
 * <tr><td>errors, losses</td><td>[B], [3]</td><td>F32</td></tr>
 * </table>
 */
public final class LossKernels {
  private static final int THREADS = 256;
  private static final int CHUNKS = 64;

  /**
   * How much each row counts: 1 / instances of the first rows, priorWeight / the rest of the
   * others, times what its timestep and itself count.
   *
   * @param timesteps I64 [B], or null where {@code ofTimestep} is
   * @param ofTimestep F32 [timesteps], such as min-SNR's weights, or null
   * @param ofRow F32 [B], or null
   */
  public record Weights(
      int instances,
      double priorWeight,
      @Nullable Tensor timesteps,
      @Nullable Tensor ofTimestep,
      @Nullable Tensor ofRow) {}

  private LossKernels() {}

  /** Elements of the work buffer. */
  public static long partials(Tensor prediction) {
    return prediction.size(0) * chunks(prediction);
  }

  private static int chunks(Tensor prediction) {
    long each = prediction.count() / prediction.size(0);
    return Launch.blocks(each / vector(prediction), THREADS, CHUNKS);
  }

  private static int vector(Tensor prediction) {
    return Launch.vector(prediction.dtype(), prediction.count() / prediction.size(0));
  }

  /**
   * Writes the gradient, each row's weighted error, and total, instance and prior loss, of which
   * the last is before its weight.
   *
   * @param share F32 [1], what the gradient is multiplied with: 1 / the batches of the step, times
   *     the loss scale
   */
  public static void apply(
      Launcher device,
      Weights weights,
      Tensor prediction,
      Tensor target,
      Tensor share,
      Tensor partial,
      Tensor gradient,
      Tensor errors,
      Tensor losses) {
    int rows = Math.toIntExact(prediction.size(0));
    int each = Math.toIntExact(prediction.count() / rows);
    int chunks = chunks(prediction);
    Object timesteps = Launch.orNull(weights.timesteps);
    Object ofTimestep = Launch.orNull(weights.ofTimestep);
    Object ofRow = Launch.orNull(weights.ofRow);
    float priorWeight = (float) weights.priorWeight;
    device.launch(
        new Launch(
            KernelSource.PRIOR_LOSS,
            "prior_loss_" + Launch.suffix(prediction.dtype(), vector(prediction) == 1),
            chunks,
            rows,
            THREADS,
            0,
            List.of(
                prediction,
                target,
                timesteps,
                ofTimestep,
                ofRow,
                share,
                gradient,
                partial,
                each,
                weights.instances,
                priorWeight)));
    device.launch(
        new Launch(
            KernelSource.PRIOR_LOSS,
            "prior_loss_finish",
            1,
            1,
            128,
            0,
            List.of(
                partial,
                timesteps,
                ofTimestep,
                ofRow,
                errors,
                losses,
                rows,
                chunks,
                each,
                weights.instances,
                priorWeight)));
  }
}
