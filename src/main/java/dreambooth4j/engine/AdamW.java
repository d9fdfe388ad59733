package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * AdamW (Loshchilov and Hutter 2019) over flat buffers, as {@code torch.optim.AdamW} computes it,
 * with its moments in 32 or in 8 bits. Each group of parameters is one call, whatever the number of
 * its tensors. Where a group computes in 16 bits, its masters are updated, and the weights are
 * their rounded copy.
 *
 * <p>Groups whose gradients are passed on rather than gathered are updated while the tape walks
 * back: {@link #begin} says with what, {@link #updateArrived} is the walk's to call, and {@link
 * #step} leaves these groups alone.
 */
public final class AdamW {
  /** Elements of gradients of 16 bits that are widened at once: whole rows. */
  private static final long PIECE = 256 * Parameters.ROW;

  /**
   * The rule's constants.
   *
   * @param weightDecay decoupled: each step takes learning rate × this off every weight
   */
  public record Settings(double beta1, double beta2, double epsilon, double weightDecay) {}

  /** What the rule remembers of one group: its moments, and the number of steps taken. */
  public static final class State {
    private final Parameters parameters;
    private final Moments moments;
    private final Tensor steps;

    private State(Arena arena, Parameters parameters, boolean in8Bits) {
      this.parameters = parameters;
      moments =
          in8Bits ? new QuantizedMoments(arena, parameters) : new FullMoments(arena, parameters);
      steps = arena.zeros("adam steps", DType.F32, 1);
    }

    /** The group. */
    public Parameters parameters() {
      return parameters;
    }

    /** All that is remembered, ordered by name, to be saved and restored in place. */
    public Map<String, Tensor> tensors() {
      Map<String, Tensor> tensors = new TreeMap<>(moments.tensors());
      tensors.put("steps", steps);
      return tensors;
    }

    /** Counts one step more; its number. */
    private long count() {
      Native.run("adamw", () -> steps.at().add_(new Scalar(1)));
      return (long) steps.item();
    }
  }

  /**
   * The rule by a device's own kernels, over buffers of which the host knows no number: {@link
   * #step} reads nothing back.
   */
  public interface OnDevice {
    /**
     * Begins a step of groups whose gradients are gathered; they are zero after it. Where the norm
     * is not finite nothing else changes.
     *
     * @param maxNorm the norm, without the scale, to clip to; 0 for no clipping
     * @param lossScale what the gradients are too large by
     */
    void step(
        Settings settings,
        List<State> states,
        double learningRate,
        double maxNorm,
        double lossScale);

    /** The norm of the last step's gradients as they were: waits for the device. */
    double norm();
  }

  private final @Nullable OnDevice device;
  private final Settings settings;
  private final List<State> states = new ArrayList<>();
  private final List<State> active = new ArrayList<>();
  private final Map<State, Moments.Update> begun = new LinkedHashMap<>();
  private double arrivedSquares;
  private @Nullable Parameter bad;

  /** As {@link #AdamW(Arena, Settings, List, boolean)}, with moments of the weights' type. */
  public AdamW(Arena arena, Settings settings, List<Parameters> groups) {
    this(arena, settings, groups, false, null);
  }

  /** As {@link #AdamW(Arena, Settings, List, boolean, OnDevice)}, by libtorch's own rule. */
  public AdamW(Arena arena, Settings settings, List<Parameters> groups, boolean in8Bits) {
    this(arena, settings, groups, in8Bits, null);
  }

  /**
   * Moments are allocated in {@code arena}, all zero; the groups must be allocated and trainable.
   * Parameters that are frozen by now stay as they are: they do not decay either.
   *
   * @param device what updates groups whose gradients are gathered; null for libtorch's own rule
   */
  public AdamW(
      Arena arena,
      Settings settings,
      List<Parameters> groups,
      boolean in8Bits,
      @Nullable OnDevice device) {
    this.settings = settings;
    this.device = device;
    groups.forEach(each -> states.add(new State(arena, each, in8Bits)));
    active.addAll(states);
  }

  /** What it remembers, a group each. */
  public List<State> states() {
    return List.copyOf(states);
  }

  /**
   * The Euclidean norm of all gradients of all groups that train, together; not a number if one of
   * those that arrived was not finite.
   */
  public double gradientNorm() {
    double sum = bad == null ? arrivedSquares : Double.NaN;
    for (State each : active) {
      if (!each.parameters.passesGradients()) {
        sum += squares(each.parameters.gradients());
      }
    }
    return Math.sqrt(sum);
  }

  /** Of any type; 16 bits are widened piece by piece. */
  private static double squares(Tensor flat) {
    if (flat.arena().isDry()) {
      return 0;
    }
    if (!flat.dtype().isHalf()) {
      return wideSquares(flat);
    }
    double sum = 0;
    for (long from = 0; from < flat.count(); from += PIECE) {
      Tensor piece = widened(flat, from, Math.min(PIECE, flat.count() - from));
      sum += wideSquares(piece);
      piece.release();
    }
    return sum;
  }

  /** A part of a flat buffer as F32: a new tensor. */
  private static Tensor widened(Tensor flat, long from, long length) {
    Tensor piece = flat.arena().allocate("widened", DType.F32, length);
    Native.run("widen", () -> piece.at().copy_(flat.at().narrow(0, from, length)));
    return piece;
  }

  /** In F32 within a row and in double beyond: one F32 sum over 10⁹ squares would lose digits. */
  private static double wideSquares(Tensor flat) {
    long row = flat.count() % Parameters.ROW == 0 ? Parameters.ROW : Parameters.BLOCK;
    return Native.call(
        "gradient norm",
        () ->
            torch
                .linalg_vector_norm(
                    flat.at().view(-1, row),
                    new Scalar(2),
                    new long[] {1},
                    false,
                    new ScalarTypeOptional())
                .to(torch.ScalarType.Double)
                .square_()
                .sum()
                .item_double());
  }

  /**
   * Clips the gathered gradients to a norm as {@code torch.nn.utils.clip_grad_norm_} does, updates
   * the weights and sets the gradients to zero. Where the norm is not finite no weight is changed.
   *
   * @param maxNorm the norm to clip to; 0 for no clipping
   * @param lossScale what the gathered gradients are too large by
   * @return the norm before clipping, without the scale
   */
  public double update(double learningRate, double maxNorm, double lossScale) {
    OnDevice own = device;
    if (own != null && active.stream().noneMatch(each -> each.parameters.passesGradients())) {
      own.step(settings, List.copyOf(active), learningRate, maxNorm, lossScale);
      zeroGradients();
      return own.norm() / lossScale;
    }
    double norm = gradientNorm() / lossScale;
    if (Double.isFinite(norm)) {
      double clip = maxNorm == 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
      step(learningRate, clip / lossScale);
      zeroGradients();
    }
    return norm;
  }

  /**
   * Updates all weights whose gradients were gathered.
   *
   * @param clip what the gradients are multiplied with first, such as the factor of norm clipping
   */
  public void step(double learningRate, double clip) {
    for (State each : active) {
      if (each.parameters.passesGradients()) {
        continue;
      }
      Moments.Update update = new Moments.Update(settings, each.count(), learningRate, clip);
      for (Parameters.Span span : each.parameters.trainedSpans()) {
        Tensor gradients = each.parameters.gradients().rows(span.from(), span.length());
        update(each, update, span, gradients);
        gradients.release();
      }
    }
  }

  private static void update(
      State state, Moments.Update update, Parameters.Span span, Tensor gradients) {
    if (gradients.arena().isDry()) {
      return;
    }
    if (state.parameters.masters() == state.parameters.weights()) {
      Tensor weights = state.parameters.weights().rows(span.from(), span.length());
      state.moments.update(update, span, weights, gradients);
      weights.release();
      return;
    }
    for (long at = 0; at < span.length(); at += PIECE) {
      long length = Math.min(PIECE, span.length() - at);
      Tensor piece = widened(gradients, at, length);
      updateMasters(state, update, new Parameters.Span(span.from() + at, length), piece);
      piece.release();
    }
  }

  /** Updates a part of the masters and rounds it into the weights. */
  private static void updateMasters(
      State state, Moments.Update update, Parameters.Span span, Tensor gradients) {
    Tensor masters = state.parameters.masters().rows(span.from(), span.length());
    Tensor weights = state.parameters.weights().rows(span.from(), span.length());
    state.moments.update(update, span, masters, gradients);
    weights.copyFrom(masters);
    weights.release();
    masters.release();
  }

  /** Begins the step of the groups whose gradients are passed on. */
  public void begin(double learningRate) {
    begun.clear();
    arrivedSquares = 0;
    bad = null;
    for (State each : active) {
      if (each.parameters.passesGradients()) {
        each.parameters.expectArrivals();
        begun.put(each, new Moments.Update(settings, each.count(), learningRate, 1));
      }
    }
  }

  /**
   * Updates the weights whose gradients have arrived since the last call, and frees the gradients.
   * From the first gradient on that is not finite nothing is changed any more.
   */
  public void updateArrived() {
    begun.forEach(
        (state, update) -> {
          for (Parameter each : state.parameters.takeArrived()) {
            Tensor gradients = each.takeGradient();
            double squares = squares(gradients);
            arrivedSquares += squares;
            if (bad == null && !Double.isFinite(squares)) {
              bad = each;
            }
            if (bad == null) {
              update(state, update, state.parameters.span(each), gradients);
            }
            gradients.release();
          }
        });
  }

  /** The first parameter whose gradient is not finite; null if all are. */
  public @Nullable Parameter badGradient() {
    if (bad != null) {
      return bad;
    }
    return active.stream()
        .filter(state -> !state.parameters.passesGradients())
        .flatMap(state -> state.parameters.all().stream())
        .filter(each -> each.isTrainable() && !each.gradient().isFinite())
        .findFirst()
        .orElse(null);
  }

  /** Leaves a group as it is from now on; what is remembered of it stays. */
  public void freeze(Parameters group) {
    active.removeIf(each -> each.parameters == group);
  }

  /** Sets all gathered gradients to zero. */
  public void zeroGradients() {
    for (State each : active) {
      if (!each.parameters.passesGradients()) {
        each.parameters.zeroGradients();
      }
    }
  }
}
