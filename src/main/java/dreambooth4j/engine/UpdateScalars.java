package dreambooth4j.engine;

/**
 * An update's numbers, where {@link Optimizer} reads and writes them, for a host that sets them.
 */
public final class UpdateScalars {
  private final Tensor learningRate;
  private final Tensor lossScale;
  private final Tensor norm;

  /** Allocates their places in {@code arena}. */
  public UpdateScalars(Arena arena) {
    learningRate = arena.zeros("learning rate", DType.F32, 1);
    lossScale = arena.zeros("loss scale", DType.F32, 1);
    norm = arena.zeros("gradient norm", DType.F32, 1);
  }

  /** Says what the step to come has; {@code scale} is fp16's loss scale, otherwise 1. */
  public UpdateScalars write(double rate, double scale) {
    learningRate.copyFrom(new float[] {(float) rate});
    lossScale.copyFrom(new float[] {(float) scale});
    return this;
  }

  /** Begins the step of the groups whose gradients are passed on. */
  public void begin(Optimizer optimizer) {
    optimizer.begin(learningRate);
  }

  /**
   * Updates; the norm of the gradients before clipping, without the scale. Waits for the device.
   */
  public double update(Optimizer optimizer) {
    optimizer.update(learningRate, lossScale, norm);
    return norm.item() / lossScale.item();
  }
}
