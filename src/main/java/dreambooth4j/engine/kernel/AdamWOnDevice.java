package dreambooth4j.engine.kernel;

import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * {@link AdamW} by {@link AdamWKernels}: the norm of all gradients, clipping, moments, masters,
 * their copy and the gradients' zeros without a number that the host must wait for. Learning rate
 * and loss scale are written to the device before each step. Gradients that arrive one by one are
 * taken where they are; the norm of each stays on the device until somebody asks.
 *
 * <p><b>Emulated on the CPU, but not run on a GPU yet.</b>
 */
public final class AdamWOnDevice implements AdamW.OnDevice {
  /** A part of a group's buffers that trains; all are views, but for gradients that arrived. */
  private record Part(
      Tensor gradients, AdamWKernels.Weights weights, AdamWKernels.Moments moments) {
    void release() {
      if (weights instanceof AdamWKernels.Masters wide) {
        release(wide.masters(), wide.copy());
      } else if (weights instanceof AdamWKernels.Alone alone) {
        release(alone.weights());
      }
      release(moments.means(), moments.variances(), moments.meanScales(), moments.varianceScales());
    }

    private static void release(@Nullable Tensor... views) {
      for (Tensor each : views) {
        if (each != null) {
          each.release();
        }
      }
    }
  }

  /** Gathered gradients of a part, and where the sums of their squares go. */
  private record Gathered(Part part, Tensor partial) {}

  /** The groups whose gradients arrive in this step, with their coefficients. */
  private static final class Arrivals {
    final Arena arena;
    final Map<AdamW.State, Tensor> coefficients = new HashMap<>();
    final Tensor stopped;
    final Tensor partial;
    final Tensor norms;
    int count;

    Arrivals(Arena arena, List<AdamW.State> states) {
      this.arena = arena;
      for (AdamW.State each : states) {
        coefficients.put(each, arena.zeros("coefficients", DType.F32, AdamWKernels.COEFFICIENTS));
      }
      int most = states.stream().mapToInt(each -> each.parameters().all().size()).sum();
      stopped = arena.zeros("stopped", DType.F32, 1);
      partial = arena.zeros("partial sums", DType.F64, AdamWKernels.MOST_PARTIALS);
      norms = arena.zeros("norms of gradients", DType.F32, (long) most * SLOT);
    }

    Tensor coefficients(AdamW.State of) {
      return Objects.requireNonNull(coefficients.get(of), "a group of another step");
    }
  }

  private record Group(AdamW.State state, Tensor coefficients, List<Gathered> parts) {}

  /** Elements from one F32 scalar to the next, so that each begins on 16 bytes. */
  private static final int SLOT = 4;

  private final Launcher device;
  private final Arena arena;
  private final Tensor norm;
  private final Tensor rate;
  private final Tensor scale;
  private final Tensor tables;
  private @Nullable Arena built;
  private List<AdamW.State> states = List.of();
  private List<Group> groups = List.of();
  private @Nullable Tensor partial;
  private @Nullable Arrivals arrivals;

  /** What it needs besides the states is allocated in {@code arena}, at its first step. */
  public AdamWOnDevice(Launcher device, Arena arena) {
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
    rate.copyFrom(new float[] {(float) learningRate});
    scale.copyFrom(new float[] {(float) lossScale});
    launch(settings, of, rate, scale, norm, maxNorm);
  }

  /**
   * As {@link #step}, the launches alone: what the host says lies on the device already.
   *
   * @param learningRate F32 [1]
   * @param lossScale F32 [1]
   * @param norm F32 [1], gets the norm of the gradients as they are
   */
  public void launch(
      AdamW.Settings settings,
      List<AdamW.State> of,
      Tensor learningRate,
      Tensor lossScale,
      Tensor norm,
      double maxNorm) {
    Tensor sums = partialsOf(of);
    for (Group group : groups) {
      group.state.parameters().gradients(); // those that no op has reached are zeros from here on
      group.parts.forEach(each -> AdamWKernels.squares(device, each.part.gradients, each.partial));
    }
    AdamWKernels.norm(device, sums, norm);
    for (Group group : groups) {
      Tensor steps = named(group.state.tensors(), "steps");
      AdamWKernels.begin(
          device, settings, norm, learningRate, lossScale, steps, group.coefficients, maxNorm);
      group.parts.forEach(each -> update(settings, group.coefficients, each.part));
    }
  }

  private void update(AdamW.Settings settings, Tensor coefficients, Part part) {
    AdamWKernels.update(device, settings, coefficients, part.gradients, part.weights, part.moments);
  }

  @Override
  public void begin(AdamW.Settings settings, List<AdamW.State> of, double learningRate) {
    Arrivals now = arrivalsOf(of);
    if (now == null) {
      return;
    }
    now.count = 0;
    now.stopped.zero_();
    rate.copyFrom(new float[] {(float) learningRate});
    norm.zero_();
    for (AdamW.State each : of) {
      Tensor steps = named(each.tensors(), "steps");
      AdamWKernels.begin(device, settings, norm, rate, null, steps, now.coefficients(each), 0);
    }
  }

  /** Those of these groups, made anew where they are others than before; null for none. */
  private @Nullable Arrivals arrivalsOf(List<AdamW.State> of) {
    Arrivals known = arrivals;
    if (known != null && known.coefficients.keySet().equals(Set.copyOf(of))) {
      return known;
    }
    if (known != null) {
      known.arena.close();
    }
    arrivals = of.isEmpty() ? null : new Arrivals(arena.child("arriving gradients"), of);
    return arrivals;
  }

  private Arrivals arrivals() {
    return Objects.requireNonNull(arrivals, "no step of gradients that arrive has begun");
  }

  @Override
  public void arrived(
      AdamW.Settings settings, AdamW.State state, Parameters.Span span, Tensor gradients) {
    Arrivals now = arrivals();
    Tensor coefficients = now.coefficients(state);
    Tensor sums = now.partial.rows(0, AdamWKernels.partials(gradients.count()));
    Tensor own = now.norms.rows((long) now.count * SLOT, 1);
    AdamWKernels.squares(device, gradients, sums);
    AdamWKernels.norm(device, sums, own);
    AdamWKernels.arrived(device, own, now.stopped, coefficients);
    Part part = part(state, span, gradients);
    update(settings, coefficients, part);
    part.release();
    own.release();
    sums.release();
    now.count++;
  }

  @Override
  public double[] arrivedNorms() {
    Arrivals now = arrivals();
    float[] all = now.norms.toFloats();
    double[] norms = new double[now.count];
    for (int i = 0; i < norms.length; i++) {
      norms[i] = all[i * SLOT];
    }
    return norms;
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
      List<Gathered> parts = new ArrayList<>();
      for (Parameters.Span span : state.parameters().trainedSpans()) {
        int sums = AdamWKernels.partials(span.length());
        Tensor gradients = state.parameters().gradients().rows(span.from(), span.length());
        parts.add(new Gathered(part(state, span, gradients), all.rows(at, sums)));
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

  private Part part(AdamW.State state, Parameters.Span span, Tensor gradients) {
    Parameters all = state.parameters();
    Tensor weights = all.weights().rows(span.from(), span.length());
    AdamWKernels.Weights where;
    if (all.roundsAtRandom()) {
      where = new AdamWKernels.Alone(weights, span.from(), state.rounding());
    } else if (all.hasMasters()) {
      Tensor masters = all.masters().rows(span.from(), span.length());
      where = new AdamWKernels.Masters(masters, weights);
    } else {
      where = new AdamWKernels.Masters(weights, null);
    }
    Map<String, Tensor> moments = new HashMap<>();
    state
        .tensors()
        .forEach(
            (name, tensor) -> {
              long per = all.flatCount() / tensor.count(); // a scale stands for a block
              if (!name.equals("steps")) {
                moments.put(name, tensor.rows(span.from() / per, span.length() / per));
              }
            });
    return new Part(
        gradients,
        where,
        new AdamWKernels.Moments(
            named(moments, "mean"),
            named(moments, "variance"),
            moments.get("mean_scale"),
            moments.get("variance_scale"),
            tables));
  }
}
