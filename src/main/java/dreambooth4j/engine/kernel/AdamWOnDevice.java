package dreambooth4j.engine.kernel;

import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * {@link AdamW} by {@link AdamWKernels}: the norm of all gradients, clipping, moments, masters,
 * their copy and the gradients' zeros without a number that the host must wait for. Learning rate
 * and loss scale are written to the device before each step.
 *
 * <p><b>Emulated on the CPU, but not run on a GPU yet.</b>
 */
public final class AdamWOnDevice implements AdamW.OnDevice {
  /** A part of a group's buffers that trains; views, but for the coefficients of its group. */
  private record Part(
      Tensor partial,
      Tensor gradients,
      Tensor masters,
      @Nullable Tensor copy,
      Map<String, Tensor> moments) {}

  private record Group(AdamW.State state, Tensor coefficients, List<Part> parts) {}

  private final Launch.On device;
  private final Arena arena;
  private final Tensor norm;
  private final Tensor rate;
  private final Tensor scale;
  private final Tensor tables;
  private @Nullable Arena built;
  private List<AdamW.State> states = List.of();
  private List<Group> groups = List.of();
  private @Nullable Tensor partial;

  /** What it needs besides the states is allocated in {@code arena}, at its first step. */
  public AdamWOnDevice(Launch.On device, Arena arena) {
    this.device = device;
    this.arena = arena;
    norm = arena.zeros("gradient norm", DType.F32, 1);
    rate = arena.zeros("learning rate", DType.F32, 1);
    scale = arena.zeros("loss scale", DType.F32, 1);
    float[] codes = AdamWKernels.tables();
    tables = arena.floats("codes of 8 bits", codes, codes.length);
  }

  @Override
  public void step(
      AdamW.Settings settings,
      List<AdamW.State> of,
      double learningRate,
      double maxNorm,
      double lossScale) {
    Tensor sums = partialsOf(of);
    rate.copyFrom(new float[] {(float) learningRate});
    scale.copyFrom(new float[] {(float) lossScale});
    for (Group group : groups) {
      group.state.parameters().gradients(); // those that no op has reached are zeros from here on
      group.parts.forEach(part -> AdamWKernels.squares(device, part.gradients, part.partial));
    }
    AdamWKernels.norm(device, sums, norm);
    for (Group group : groups) {
      Tensor steps = named(group.state.tensors(), "steps");
      AdamWKernels.begin(device, settings, norm, rate, scale, steps, group.coefficients, maxNorm);
      group.parts.forEach(part -> update(settings, group.coefficients, part));
    }
  }

  private void update(AdamW.Settings settings, Tensor coefficients, Part part) {
    Tensor mean = named(part.moments, "mean");
    Tensor variance = named(part.moments, "variance");
    if (mean.dtype() == DType.F32) {
      AdamWKernels.update(
          device,
          settings,
          coefficients,
          part.gradients,
          part.masters,
          part.copy,
          mean,
          variance);
    } else {
      AdamWKernels.update8bit(
          device,
          settings,
          coefficients,
          tables,
          part.gradients,
          part.masters,
          part.copy,
          mean,
          named(part.moments, "mean_scale"),
          variance,
          named(part.moments, "variance_scale"));
    }
  }

  private static Tensor named(Map<String, Tensor> tensors, String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalStateException("AdamW remembers no " + name);
    }
    return tensor;
  }

  @Override
  public double norm() {
    return norm.item();
  }

  /** Partial sums of all parts of these groups; cut anew where other groups train than before. */
  private Tensor partialsOf(List<AdamW.State> of) {
    Tensor known = partial;
    if (known != null && states.equals(of)) {
      return known;
    }
    if (built != null) {
      built.close();
    }
    Arena own = arena.child("adamw on the device");
    int count = 0;
    for (AdamW.State state : of) {
      for (Parameters.Span span : state.parameters().trainedSpans()) {
        count += AdamWKernels.partials(span.length());
      }
    }
    Tensor all = own.zeros("partial sums", DType.F64, count);
    List<Group> cut = new ArrayList<>();
    int at = 0;
    for (AdamW.State state : of) {
      List<Part> parts = new ArrayList<>();
      for (Parameters.Span span : state.parameters().trainedSpans()) {
        int sums = AdamWKernels.partials(span.length());
        parts.add(part(state, span, all.rows(at, sums)));
        at += sums;
      }
      Tensor coefficients = own.zeros("coefficients", DType.F32, AdamWKernels.COEFFICIENTS);
      cut.add(new Group(state, coefficients, parts));
    }
    built = own;
    states = List.copyOf(of);
    groups = cut;
    partial = all;
    return all;
  }

  private static Part part(AdamW.State state, Parameters.Span span, Tensor partial) {
    Parameters all = state.parameters();
    Map<String, Tensor> moments = new TreeMap<>();
    state
        .tensors()
        .forEach(
            (name, tensor) -> {
              long per = all.flatCount() / tensor.count(); // a scale stands for a block
              if (!name.equals("steps")) {
                moments.put(name, tensor.rows(span.from() / per, span.length() / per));
              }
            });
    boolean copied = all.masters() != all.weights();
    return new Part(
        partial,
        all.gradients().rows(span.from(), span.length()),
        all.masters().rows(span.from(), span.length()),
        copied ? all.weights().rows(span.from(), span.length()) : null,
        moments);
  }
}
