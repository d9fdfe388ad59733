package dreambooth4j.engine;

import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * AdamW (Loshchilov and Hutter 2019) over flat buffers, as {@code torch.optim.AdamW} computes it,
 * with its moments in 32 or in 8 bits. Each group of parameters is one call, whatever the number of
 * its tensors. Where a group computes in 16 bits, its masters are updated, and the weights are
 * their rounded copy; weights without masters are updated in F32 piece by piece and rounded at
 * random ({@link Rounding}).
 *
 * <p>Groups whose gradients are passed on rather than gathered are updated while the tape walks
 * back: {@link #begin} says with what, {@link #updateArrived} is the walk's to call, and {@link
 * #step} leaves these groups alone.
 */
public final class AdamW {
  /** Elements of 16 bits that are widened at once: whole rows. */
  private static final long PIECE = 256 * Parameters.ROW;

  private static final String ROUNDING = "rounding";

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
    private final Rounding rounding;

    private State(Arena arena, Parameters parameters, boolean in8Bits, Rounding rounding) {
      this.parameters = parameters;
      this.rounding = rounding;
      moments =
          in8Bits ? new QuantizedMoments(arena, parameters) : new FullMoments(arena, parameters);
      steps = arena.zeros("adam steps", DType.F32, 1);
    }

    /** The group. */
    public Parameters parameters() {
      return parameters;
    }

    /** How its weights are rounded where they have no masters. */
    public Rounding rounding() {
      return rounding;
    }

    /** All that is remembered, ordered by name, to be saved and restored in place. */
    public Map<String, Tensor> tensors() {
      Map<String, Tensor> tensors = new TreeMap<>(moments.tensors());
      tensors.put("steps", steps);
      return tensors;
    }

    /** Counts one step more; its number. */
    private long count() {
      Native.run("adamw", () -> steps.handle().add_(new Scalar(1)));
      return (long) steps.item();
    }
  }

  /**
   * The rule by a device's own kernels, over buffers of which the host knows no number: nothing is
   * read back before {@link #norm} and {@link #arrivedNorms} ask.
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

    /** Begins a step of groups whose gradients are passed on. */
    void begin(Settings settings, List<State> states, double learningRate);

    /**
     * Updates the weights of a part of a group that {@link #begin} began with. From the first
     * gradient on that is not finite nothing is changed any more.
     *
     * @param gradients flat, of the weights' type; their content is undefined afterwards
     */
    void arrived(Settings settings, State state, Parameters.Span span, Tensor gradients);

    /** The norm of each gradient that arrived in this step, in that order: waits for the device. */
    double[] arrivedNorms();
  }

  private final @Nullable OnDevice device;
  private final Settings settings;
  private final List<State> states = new ArrayList<>();
  private final List<State> active = new ArrayList<>();
  private final Map<State, Moments.Update> begun = new LinkedHashMap<>();
  private final List<Parameter> arrived = new ArrayList<>();
  private double arrivedSquares;
  private @Nullable Parameter bad;

  /** As {@link #AdamW(Arena, Settings, List, boolean)}, with moments of the weights' type. */
  public AdamW(Arena arena, Settings settings, List<Parameters> groups) {
    this(arena, settings, groups, false);
  }

  /** As {@link #AdamW(Arena, Settings, List, boolean, long, OnDevice)}, by libtorch's own rule. */
  public AdamW(Arena arena, Settings settings, List<Parameters> groups, boolean in8Bits) {
    this(arena, settings, groups, in8Bits, 0, null);
  }

  /**
   * Moments are allocated in {@code arena}, all zero; the groups must be allocated and trainable.
   * Parameters that are frozen by now stay as they are: they do not decay either.
   *
   * @param seed of the rounding of weights without masters
   * @param device what updates the groups; null for libtorch's own rule
   */
  public AdamW(
      Arena arena,
      Settings settings,
      List<Parameters> groups,
      boolean in8Bits,
      long seed,
      @Nullable OnDevice device) {
    this.settings = settings;
    this.device = device;
    long key = CounterRandom.key(seed, ROUNDING);
    for (Parameters each : groups) {
      states.add(new State(arena, each, in8Bits, new Rounding(key, states.size())));
    }
    active.addAll(states);
  }

  /** The rule's constants. */
  public Settings settings() {
    return settings;
  }

  /** Those of {@link #states} whose groups train. */
  public List<State> active() {
    return List.copyOf(active);
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
    double[] sum = {arrivedSquares()};
    for (State each : active) {
      if (!each.parameters.passesGradients()) {
        inPieces(each.parameters.gradients(), (from, piece) -> sum[0] += squares(piece));
      }
    }
    return Math.sqrt(sum[0]);
  }

  private double arrivedSquares() {
    if (device != null && !arrived.isEmpty()) {
      double[] norms = device.arrivedNorms();
      for (int i = 0; i < norms.length; i++) {
        arrivedSquares += norms[i] * norms[i];
        bad = bad == null && !Double.isFinite(norms[i]) ? arrived.get(i) : bad;
      }
      arrived.clear();
    }
    return bad == null ? arrivedSquares : Double.NaN;
  }

  /**
   * Hands on flat gradients as they are, or, of 16 bits, widened to F32 piece by piece, each with
   * the place where it begins.
   */
  private static void inPieces(Tensor gradients, BiConsumer<Long, Tensor> user) {
    if (!gradients.dtype().isHalf()) {
      user.accept(0L, gradients);
      return;
    }
    for (long from = 0; from < gradients.count(); from += PIECE) {
      Tensor piece = widened(gradients, from, Math.min(PIECE, gradients.count() - from));
      user.accept(from, piece);
      piece.release();
    }
  }

  /** A part of a flat buffer as F32: a new tensor. */
  private static Tensor widened(Tensor flat, long from, long length) {
    Tensor piece = flat.arena().allocate("widened", DType.F32, length);
    Native.run("widen", () -> piece.handle().copy_(flat.handle().narrow(0, from, length)));
    return piece;
  }

  /** In F32 within a row and in double beyond: one F32 sum over 10⁹ squares would lose digits. */
  private static double squares(Tensor flat) {
    if (flat.arena().isDry()) {
      return 0;
    }
    long row = flat.count() % Parameters.ROW == 0 ? Parameters.ROW : Parameters.BLOCK;
    return Native.call(
        "gradient norm",
        () ->
            torch
                .linalg_vector_norm(
                    flat.handle().view(-1, row),
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
    List<State> gathered =
        active.stream().filter(each -> !each.parameters.passesGradients()).toList();
    if (device != null && !gathered.isEmpty()) {
      device.step(settings, gathered, learningRate, maxNorm, lossScale);
      zeroGradients();
      return Math.sqrt(arrivedSquares() + Math.pow(device.norm(), 2)) / lossScale;
    }
    return Threads.withAll(
        () -> {
          double norm = gradientNorm() / lossScale;
          if (Double.isFinite(norm)) {
            double clip = maxNorm == 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
            step(learningRate, clip / lossScale);
            zeroGradients();
          }
          return norm;
        });
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
        inPieces(gradients, (from, piece) -> update(each, update, part(span, from, piece), piece));
        gradients.release();
      }
    }
  }

  /**
   * Updates a part of a group by gradients that are no narrower than F32. In a dry tree only what
   * that makes is made.
   */
  private static void update(
      State state, Moments.Update update, Parameters.Span span, Tensor gradients) {
    Parameters group = state.parameters;
    if (group.roundsAtRandom()) {
      updateAlone(state, update, span, gradients);
      return;
    }
    if (gradients.arena().isDry()) {
      return;
    }
    Tensor masters = group.masters().rows(span.from(), span.length());
    state.moments.update(update, span, masters, gradients);
    if (group.hasMasters()) {
      Tensor weights = group.weights().rows(span.from(), span.length());
      weights.copyFrom(masters);
      weights.release();
    }
    masters.release();
  }

  /** Updates a part of weights that have no masters, in F32, and rounds it at random. */
  private static void updateAlone(
      State state, Moments.Update update, Parameters.Span span, Tensor gradients) {
    Tensor wide = widened(state.parameters.weights(), span.from(), span.length());
    if (!gradients.arena().isDry()) {
      state.moments.update(update, span, wide, gradients);
      Tensor weights = state.parameters.weights().rows(span.from(), span.length());
      state.rounding.round(wide, weights, span.from(), update.number());
      weights.release();
    }
    wide.release();
  }

  private static Parameters.Span part(Parameters.Span of, long from, Tensor piece) {
    return new Parameters.Span(of.from() + from, piece.count());
  }

  /** Begins the step of the groups whose gradients are passed on. */
  public void begin(double learningRate) {
    begun.clear();
    arrived.clear();
    arrivedSquares = 0;
    bad = null;
    List<State> passing =
        active.stream().filter(each -> each.parameters.passesGradients()).toList();
    passing.forEach(each -> each.parameters.expectArrivals());
    if (device != null) {
      device.begin(settings, passing, learningRate);
      return;
    }
    passing.forEach(
        each -> begun.put(each, new Moments.Update(settings, each.count(), learningRate, 1)));
  }

  /**
   * Updates the weights whose gradients have arrived since the last call, and frees the gradients.
   * From the first gradient on, or a million of its elements, that is not finite nothing is changed
   * any more.
   */
  public void updateArrived() {
    for (State state : active) {
      for (Parameter each : state.parameters.takeArrived()) {
        Tensor gradients = each.takeGradient();
        Parameters.Span span = state.parameters.span(each);
        Moments.Update update = begun.get(state);
        if (update != null) {
          inPieces(gradients, (from, piece) -> updateArrived(state, update, each, from, piece));
        } else if (device != null) {
          arrived.add(each);
          device.arrived(settings, state, span, gradients);
        }
        gradients.release();
      }
    }
  }

  private void updateArrived(
      State state, Moments.Update update, Parameter parameter, long from, Tensor piece) {
    double squares = squares(piece);
    arrivedSquares += squares;
    if (bad == null && !Double.isFinite(squares)) {
      bad = parameter;
    }
    if (bad == null) {
      update(state, update, part(state.parameters.span(parameter), from, piece), piece);
    }
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
