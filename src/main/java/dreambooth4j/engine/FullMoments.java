package dreambooth4j.engine;

import java.util.Map;
import org.bytedeco.pytorch.Scalar;

/** Moments in the masters' type, F32 beside weights of 16 bits, by libtorch's fused AdamW. */
final class FullMoments implements Moments {
  private final Tensor mean;
  private final Tensor variance;
  private final Tensor steps;
  private final Tensor gradientDivisor;

  FullMoments(Arena arena, Parameters group) {
    DType dtype = group.dtype().isHalf() ? DType.F32 : group.dtype();
    mean = arena.zeros("adam mean", dtype, group.flatCount());
    variance = arena.zeros("adam variance", dtype, group.flatCount());
    steps = arena.zeros("adam steps", DType.F32, 1);
    gradientDivisor = arena.zeros("gradient divisor", DType.F32, 1);
  }

  @Override
  public void update(Update update, Parameters.Span span, Tensor masters, Tensor gradients) {
    AdamW.Settings settings = update.settings();
    Native.run(
        "adamw",
        () -> {
          steps.handle().fill_(new Scalar((double) update.number()));
          gradientDivisor.handle().fill_(new Scalar(1 / update.clip()));
          Boxed.call(
              "_fused_adamw_",
              list(masters.handle()),
              list(gradients.handle()),
              list(mean.handle().narrow(0, span.from(), span.length())),
              list(variance.handle().narrow(0, span.from(), span.length())),
              list(),
              list(steps.handle()),
              update.learningRate(),
              settings.beta1(),
              settings.beta2(),
              settings.weightDecay(),
              settings.epsilon(),
              false,
              false,
              update.clip() == 1 ? null : gradientDivisor.handle(),
              null);
        });
  }

  private static org.bytedeco.pytorch.Tensor[] list(org.bytedeco.pytorch.Tensor... tensors) {
    return tensors;
  }

  @Override
  public Map<String, Tensor> tensors() {
    return Map.of("mean", mean, "variance", variance);
  }
}
