package dreambooth4j.engine.kernel;

import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * {@link AdamW} without the host: the gradients' norm, clipping and the update by {@link
 * AdamWKernels}, over the moments and step counts that the optimizer itself holds, so that either
 * of them goes on where the other left off. For groups whose gradients are gathered and whose
 * masters are F32.
 */
public final class DeviceAdamW {
  private final Launch.On device;
  private final AdamW optimizer;
  private final double maxNorm;
  private final List<AdamW.State> states;
  private final Tensor partial;
  private final List<Tensor> partials = new ArrayList<>();
  private final List<Tensor> coefficients = new ArrayList<>();
  private final @Nullable Tensor tables;

  /**
   * Work buffers are {@code arena}'s, whose kernels must be launched somewhere.
   *
   * @param maxNorm the norm to clip to; 0 for no clipping
   */
  public DeviceAdamW(Arena arena, Launch.On device, AdamW optimizer, double maxNorm) {
    this.device = device;
    this.optimizer = optimizer;
    this.maxNorm = maxNorm;
    states = optimizer.states();
    long[] counts =
        states.stream()
            .mapToLong(each -> AdamWKernels.partials(each.parameters().flatCount()))
            .toArray();
    long all = 0;
    for (long count : counts) {
      all += count;
    }
    partial = arena.allocate("partial sums", DType.F64, all);
    long from = 0;
    for (long count : counts) {
      partials.add(partial.rows(from, count));
      from += count;
      coefficients.add(arena.allocate("coefficients", DType.F32, AdamWKernels.COEFFICIENTS));
    }
    boolean in8Bits = states.stream().anyMatch(DeviceAdamW::is8Bit);
    float[] codes = in8Bits ? AdamWKernels.tables() : new float[0];
    tables = in8Bits ? arena.floats("codes", codes, codes.length) : null;
  }

  private static boolean is8Bit(AdamW.State state) {
    return state.tensors().containsKey("mean_scale");
  }

  /**
   * Updates all weights and sets the gradients to zero. Where the norm is not finite nothing is
   * updated or counted.
   *
   * @param rate F32 [1], the learning rate
   * @param lossScale F32 [1], what the gradients are too large by
   * @param norm F32 [1], gets the norm of the gradients as they are
   */
  public void step(Tensor rate, Tensor lossScale, Tensor norm) {
    for (int i = 0; i < states.size(); i++) {
      AdamWKernels.squares(device, states.get(i).parameters().gradients(), partials.get(i));
    }
    AdamWKernels.norm(device, partial, norm);
    for (int i = 0; i < states.size(); i++) {
      AdamW.State state = states.get(i);
      AdamWKernels.begin(
          device,
          optimizer.settings(),
          norm,
          rate,
          lossScale,
          state.tensors().get("steps"),
          coefficients.get(i),
          maxNorm);
      for (Parameters.Span span : state.parameters().trainedSpans()) {
        update(state, coefficients.get(i), span);
      }
    }
    optimizer.zeroGradients();
  }

  private void update(AdamW.State state, Tensor its, Parameters.Span span) {
    Parameters group = state.parameters();
    Map<String, Tensor> moments = state.tensors();
    List<Tensor> views = new ArrayList<>();
    Tensor gradients = part(views, group.gradients(), span, 1);
    Tensor masters = part(views, group.masters(), span, 1);
    Tensor copy = group.masters() == group.weights() ? null : part(views, group.weights(), span, 1);
    Tensor mean = part(views, moments.get("mean"), span, 1);
    Tensor variance = part(views, moments.get("variance"), span, 1);
    if (tables == null) {
      AdamWKernels.update(
          device, optimizer.settings(), its, gradients, masters, copy, mean, variance);
    } else {
      AdamWKernels.update8bit(
          device,
          optimizer.settings(),
          its,
          tables,
          gradients,
          masters,
          copy,
          mean,
          part(views, moments.get("mean_scale"), span, AdamWKernels.BLOCK),
          variance,
          part(views, moments.get("variance_scale"), span, AdamWKernels.BLOCK));
    }
    views.forEach(Tensor::release);
  }

  /** A part of a flat buffer that has one element for so many weights; {@code views} releases. */
  private static Tensor part(
      List<Tensor> views, @Nullable Tensor flat, Parameters.Span span, int weights) {
    if (flat == null) {
      throw new IllegalStateException("the optimizer lacks a part of its state");
    }
    Tensor view = flat.rows(span.from() / weights, span.length() / weights);
    views.add(view);
    return view;
  }
}
