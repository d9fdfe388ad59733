package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Moment;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.OptimizerState;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.PlainOptimizer;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRule;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * An optimizer by {@link OptimizerKernels}: the norm of all gradients, clipping, moments, masters,
 * their copy and the gradients' zeros without a number that the host must wait for. Gradients that
 * arrive one by one are taken where they are; the norm of each stays on the device.
 *
 * <p><b>Emulated on the CPU, but not run on a GPU yet.</b>
 */
public final class KernelOptimizer extends Optimizer {
  /** A part of a group's buffers that trains; all are views, but for gradients that arrived. */
  private record Part(
      Tensor gradients,
      OptimizerKernels.Weights weights,
      List<Moment> moments,
      OptimizerKernels.Pull pull) {
    void release() {
      if (weights instanceof OptimizerKernels.Masters wide) {
        wide.masters().release();
        if (wide.copy() != null) {
          wide.copy().release();
        }
      } else if (weights instanceof OptimizerKernels.Alone alone) {
        alone.weights().release();
      }
      moments.forEach(Moment::release);
      if (pull.anchor() != null) {
        pull.anchor().release();
      }
    }
  }

  /** Gathered gradients of a part, and where the sums of their squares go. */
  private record Gathered(OptimizerState state, Part part, Tensor partial) {
    /** Lets go of the views. */
    void release() {
      part.gradients.release();
      part.release();
      partial.release();
    }
  }

  /** Elements from one F32 scalar to the next, so that each begins on 16 bytes. */
  private static final int SLOT = 4;

  private final Launcher device;
  private final Arena arena;
  private final OptimizerKernels kernels;
  private final Tensor zero;
  private final List<Parameter> arrived = new ArrayList<>();
  private @Nullable Work work;

  /**
   * As {@link Optimizer#Optimizer}; what it needs besides is allocated in {@code arena} at its
   * first step.
   */
  public KernelOptimizer(
      Launcher device, Arena arena, UpdateRule rule, List<Group> groups, Options options) {
    super(arena, rule, groups, options);
    this.device = device;
    this.arena = arena;
    kernels = new OptimizerKernels(device, arena, rule);
    zero = arena.zeros("no norm", DType.F32, 1);
  }

  /** By our kernels where this tree launches them, otherwise by libtorch's ops. */
  public static Optimizer orPlain(
      Arena arena, UpdateRule rule, List<Group> groups, Options options) {
    Launcher launcher = Kernels.of(arena);
    return launcher == null || !rule.hasKernel()
        ? new PlainOptimizer(arena, rule, groups, options)
        : new KernelOptimizer(launcher, arena, rule, groups, options);
  }

  /** What the groups that train now work in. */
  private final class Work {
    final Arena own = arena.child("optimizer's work");
    final List<OptimizerState> states = active();
    final Map<OptimizerState, Tensor> coefficients = new HashMap<>();
    final List<Gathered> gathered = new ArrayList<>();

    /** All partial sums of squares: of the gathered gradients, then of the arrived ones' norms. */
    final Tensor sums;

    final Tensor sumsOfArrived;
    final Tensor norms;
    final Tensor stopped;
    final Tensor partial;

    Work() {
      int count = 0;
      for (OptimizerState state : states) {
        coefficients.put(
            state, own.zeros("coefficients", DType.F32, OptimizerKernels.COEFFICIENTS));
      }
      for (OptimizerState state : active(false)) {
        for (Parameters.Span span : state.spans()) {
          count += OptimizerKernels.partials(span.length());
        }
      }
      int arriving = active(true).stream().mapToInt(each -> each.parameters().all().size()).sum();
      norms = own.zeros("norms of gradients", DType.F32, (long) SLOT * Math.max(1, arriving));
      int ofNorms = OptimizerKernels.partials(norms.count());
      sums = own.zeros("partial sums", DType.F64, count + ofNorms);
      sumsOfArrived = sums.rows(count, ofNorms);
      stopped = own.zeros("stopped", DType.F32, 1);
      partial =
          own.zeros("partial sums", DType.F64, arriving == 0 ? 1 : OptimizerKernels.MOST_PARTIALS);
      int at = 0;
      for (OptimizerState state : active(false)) {
        Tensor all = state.parameters().gradients();
        for (Parameters.Span span : state.spans()) {
          int length = OptimizerKernels.partials(span.length());
          Tensor gradients = all.rows(span.from(), span.length());
          gathered.add(new Gathered(state, part(state, span, gradients), sums.rows(at, length)));
          at += length;
        }
      }
    }

    Tensor coefficients(OptimizerState of) {
      return Objects.requireNonNull(coefficients.get(of), "a group that does not train");
    }
  }

  /** Made anew where other groups train than before. */
  private Work work() {
    Work known = work;
    if (known != null && known.states.equals(active())) {
      return known;
    }
    if (known != null) {
      known.gathered.forEach(Gathered::release);
      known.own.close();
    }
    Work made = new Work();
    work = made;
    return made;
  }

  @Override
  public void begin(Tensor learningRate) {
    super.begin(learningRate);
    arrived.clear();
    List<OptimizerState> passing = active(true);
    if (passing.isEmpty()) {
      return;
    }
    Work now = work();
    now.stopped.zero_();
    now.norms.zero_();
    for (OptimizerState each : passing) {
      kernels.begin(
          zero, learningRate, each.rateFactor(), null, each.steps(), now.coefficients(each), 0);
    }
  }

  @Override
  protected void arrived(
      OptimizerState state, Parameter parameter, Parameters.Span span, Tensor gradients) {
    Work now = work();
    Tensor coefficients = now.coefficients(state);
    Tensor sums = now.partial.rows(0, OptimizerKernels.partials(gradients.count()));
    Tensor own = now.norms.rows((long) arrived.size() * SLOT, 1);
    OptimizerKernels.squares(device, gradients, sums);
    OptimizerKernels.norm(device, sums, own);
    kernels.arrived(own, now.stopped, coefficients);
    Part part = part(state, span, gradients);
    kernels.update(coefficients, gradients, part.weights, part.moments, part.pull);
    part.release();
    own.release();
    sums.release();
    arrived.add(parameter);
  }

  @Override
  public void update(Tensor learningRate, Tensor lossScale, Tensor norm) {
    Work now = work();
    List<OptimizerState> states = active(false);
    // Those that no op has reached are zeros from here on.
    states.forEach(each -> each.parameters().gradients());
    for (Gathered each : now.gathered) {
      OptimizerKernels.squares(device, each.part.gradients, each.partial);
    }
    if (!active(true).isEmpty()) {
      OptimizerKernels.squares(device, now.norms, now.sumsOfArrived);
    }
    OptimizerKernels.norm(device, now.sums, norm);
    options().shards().totalNorm(norm);
    changeWeights();
    for (OptimizerState each : states) {
      kernels.begin(
          norm,
          learningRate,
          each.rateFactor(),
          lossScale,
          each.steps(),
          now.coefficients(each),
          options().maxNorm());
    }
    for (Gathered each : now.gathered) {
      Part part = each.part;
      kernels.update(
          now.coefficients(each.state), part.gradients, part.weights, part.moments, part.pull);
    }
    gatherUpdated();
    zeroGradients();
  }

  @Override
  protected @Nullable Parameter badArrival() {
    if (arrived.isEmpty()) {
      return null;
    }
    float[] norms = work().norms.toFloats();
    for (int i = 0; i < arrived.size(); i++) {
      if (!Float.isFinite(norms[i * SLOT])) {
        return arrived.get(i);
      }
    }
    return null;
  }

  private Part part(OptimizerState state, Parameters.Span span, Tensor gradients) {
    Parameters all = state.parameters();
    Tensor weights = all.weights().rows(span.from(), span.length());
    OptimizerKernels.Weights where;
    if (all.roundsAtRandom()) {
      where = new OptimizerKernels.Alone(weights, span.from(), state.rounding());
    } else if (all.hasMasters()) {
      Tensor masters = all.masters().rows(span.from(), span.length());
      where = new OptimizerKernels.Masters(masters, weights);
    } else {
      where = new OptimizerKernels.Masters(weights, null);
    }
    return new Part(
        gradients,
        where,
        state.moments(span),
        new OptimizerKernels.Pull(state.anchor(span), options().anchor().weight()));
  }
}
