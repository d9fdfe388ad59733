package dreambooth4j.engine.kernel;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.LossForm;
import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The launches of {@code prior_loss.cu}: the loss of instance and prior rows and its gradient, as
 * {@code engine.op.RowLoss} defines them.
 *
 * <table>
 * <caption>Tensors; B rows</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>prediction, gradient</td><td>[B, ..]</td><td>storage</td></tr>
 * <tr><td>target</td><td>[B, ..]</td><td>F32</td></tr>
 * <tr><td>partial</td><td>{@link #partials}</td><td>F64</td></tr>
 * <tr><td>losses</td><td>[3]: total, instance, prior</td><td>F32</td></tr>
 * </table>
 */
public final class LossKernels {
  private static final int THREADS = 256;
  private static final int CHUNKS = 64;

  /**
   * How much each row counts: 1 / the rows of its half, times the weight of its timestep and its
   * own; the prior half times the prior weight.
   *
   * @param instances number of instance rows, which come first
   * @param timesteps I64 [B]
   * @param ofTimestep F32 [timesteps], such as min-SNR's weights
   * @param ofRow F32 [B]
   * @param prior F32 [1], the prior loss weight
   * @param fraction F32 [1], 1 / batches of the step: multiplies losses and gradient
   * @param lossScale F32 [1], of fp16, otherwise 1: multiplies the gradient
   * @param together whether all rows are averaged as one, and multiplied with the mean of 1 for
   *     each instance row and the prior weight for each prior row (the extension's split_loss:
   *     false)
   */
  public record Weights(
      int instances,
      Tensor timesteps,
      Tensor ofTimestep,
      Tensor ofRow,
      Tensor prior,
      Tensor fraction,
      Tensor lossScale,
      boolean together) {}

  /**
   * What being off costs in each element.
   *
   * @param thresholds the form's c of each timestep, F32 [timesteps]; null for 1
   * @param mask what each place of a picture counts, F32 [B, ..] as the prediction without its last
   *     axis; null for 1
   */
  public record Measure(LossForm form, @Nullable Tensor thresholds, @Nullable Tensor mask) {
    /** The squared error, of all places alike. */
    public static final Measure SQUARED = new Measure(LossForm.SQUARED, null, null);
  }

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

  /** Whether the kernel takes these: aligned storage types beside an F32 target. */
  public static boolean take(Tensor prediction, Tensor target) {
    return Kernels.take(prediction) && target.dtype() == DType.F32 && Kernels.take(target);
  }

  /**
   * Adds the fraction of total, instance and prior loss to {@code losses} and writes the gradient,
   * whose first element is not a number where the total is not finite.
   */
  public static void apply(
      Launcher device,
      Weights weights,
      Measure measure,
      Tensor prediction,
      Tensor target,
      Tensor partial,
      Tensor gradient,
      Tensor losses) {
    int rows = Math.toIntExact(prediction.size(0));
    int each = Math.toIntExact(prediction.count() / rows);
    int chunks = chunks(prediction);
    int together = weights.together ? 1 : 0;
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
                weights.timesteps,
                weights.ofTimestep,
                weights.ofRow,
                weights.prior,
                weights.fraction,
                weights.lossScale,
                gradient,
                partial,
                each,
                weights.instances,
                together,
                measure.form.kernelForm,
                Launch.orNull(measure.thresholds),
                Launch.orNull(measure.mask),
                Math.toIntExact(prediction.size(-1)))));
    device.launch(
        new Launch(
            KernelSource.PRIOR_LOSS,
            "prior_loss_finish_" + Launch.suffix(prediction.dtype(), false),
            1,
            1,
            128,
            0,
            List.of(
                partial,
                weights.timesteps,
                weights.ofTimestep,
                weights.ofRow,
                weights.prior,
                weights.fraction,
                gradient,
                losses,
                rows,
                chunks,
                each,
                weights.instances,
                together)));
  }
}
