package dreambooth4j.engine;

import static java.util.Objects.requireNonNull;

import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Updates groups of parameters by an {@link UpdateRule}. Here lie the books of flat buffers: which
 * groups train, what is remembered of each, gradients as they arrive. Two forms compute: {@link
 * PlainOptimizer} by libtorch, and our kernels, which the host tells nothing that it has to know.
 *
 * <p>A step is {@link #update} after the gradients of all batches have gathered. Where groups pass
 * their gradients on instead, it is {@link #begin}, then {@link #updateArrived} whenever the tape
 * has passed an op on its backward walk, and {@link #update}, which leaves these groups' weights
 * alone.
 *
 * <table>
 * <caption>What a step reads and writes, each in a place of its own on the groups' device</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>learningRate, lossScale, norm</td><td>[1]</td><td>F32</td></tr>
 * </table>
 */
public abstract class Optimizer {
  private static final String ROUNDING = "rounding";

  /**
   * What is the same in all steps.
   *
   * @param maxNorm the gradients' norm, without the loss scale, is clipped to it; 0 for no clipping
   * @param in8Bits whether moments are held in 8 bits rather than in the masters' type
   * @param seed of the rounding of weights without masters
   * @param anchor the pull towards where the weights were
   * @param shards what this process updates, where others update the rest
   */
  public record Options(double maxNorm, boolean in8Bits, long seed, Anchor anchor, Shards shards) {
    /** Of a process that updates all. */
    public Options(double maxNorm, boolean in8Bits, long seed, Anchor anchor) {
      this(maxNorm, in8Bits, seed, anchor, Shards.NONE);
    }

    /** Without a pull. */
    public Options(double maxNorm, boolean in8Bits, long seed) {
      this(maxNorm, in8Bits, seed, Anchor.NONE);
    }

    /** Without clipping, moments in the masters' type. */
    public static final Options PLAIN = new Options(0, false, 0);
  }

  /**
   * Parameters that learn at a rate of their own.
   *
   * @param rateFactor their learning rate is the step's times this: 1 for the same, 0 or more
   */
  public record Group(Parameters parameters, double rateFactor) {
    /** Groups that all learn at the step's rate. */
    public static List<Group> alike(List<Parameters> all) {
      return all.stream().map(each -> new Group(each, 1)).toList();
    }
  }

  private final UpdateRule rule;
  private final Options options;
  private final List<OptimizerState> states = new ArrayList<>();
  private final List<OptimizerState> active;

  /** Whether the step at hand has begun to change weights. */
  private boolean updating;

  /**
   * What is remembered is allocated in {@code arena}, all zero; the groups must be allocated and
   * trainable. Parameters that are frozen by now stay as they are: they do not decay either.
   */
  protected Optimizer(Arena arena, UpdateRule rule, List<Group> groups, Options options) {
    this.rule = rule;
    this.options = options;
    long key = CounterRandom.key(options.seed, ROUNDING);
    for (Group each : groups) {
      Rounding rounding = new Rounding(key, states.size());
      DType moments = moments(each.parameters(), options.in8Bits);
      states.add(
          new OptimizerState(arena, each, rule, moments, rounding, options.anchor, options.shards));
    }
    active = new ArrayList<>(states);
    if (rule.savedAt() != 0) {
      groups.forEach(each -> each.parameters().keepAverage(arena));
    }
  }

  /** What moments are held in. */
  private static DType moments(Parameters of, boolean in8Bits) {
    DType masters = of.dtype().isHalf() ? DType.F32 : of.dtype();
    return in8Bits ? DType.U8 : masters;
  }

  /** Bytes of all that all processes would remember of weights, before any of it is allocated. */
  public static long stateBytes(UpdateRule rule, List<Parameters> all, boolean in8Bits) {
    long bytes = 0;
    for (Parameters of : all) {
      for (StateTensor each : StateTensor.layout(rule, moments(of, in8Bits))) {
        bytes += each.extent().of(of, of.flatCount()) * each.dtype().bytes();
      }
    }
    return bytes;
  }

  /** The arithmetic. */
  public final UpdateRule rule() {
    return rule;
  }

  /** What is the same in all steps. */
  protected final Options options() {
    return options;
  }

  /** What this process updates, where others update the rest. */
  public final Shards shards() {
    return options.shards;
  }

  /** What it remembers, a group each. */
  public final List<OptimizerState> states() {
    return List.copyOf(states);
  }

  /** Bytes of all that this process remembers. */
  public final long stateBytes() {
    return states().stream()
        .flatMap(each -> each.tensors().values().stream())
        .mapToLong(Tensor::ownedBytes)
        .sum();
  }

  /** Bytes of the copies of where the weights were. */
  public final long anchorBytes() {
    return states.stream().mapToLong(OptimizerState::anchorBytes).sum();
  }

  /** The groups that train, in their order. */
  protected final List<OptimizerState> active() {
    return List.copyOf(active);
  }

  /** Of the groups that train those whose gradients gather, or those that pass them on. */
  protected final List<OptimizerState> active(boolean passesGradients) {
    return active.stream()
        .filter(each -> each.parameters().passesGradients() == passesGradients)
        .toList();
  }

  /** Begins the step of the groups whose gradients are passed on; nothing where none are. */
  public void begin(Tensor learningRate) {
    updating = false;
    active(true).forEach(each -> each.parameters().expectArrivals());
  }

  /** The step is over, or was only recorded: no weights are in the midst of it. */
  public final void end() {
    updating = false;
  }

  /** After an error: whether it left some weights before the step at hand and others after it. */
  public final boolean isUpdating() {
    return updating;
  }

  /** From here on until the step's end weights change. */
  protected final void changeWeights() {
    updating = true;
  }

  /**
   * Updates the weights whose gradients have arrived since the last call, and frees the gradients.
   * From the first gradient on that is not finite nothing is changed any more.
   */
  public final void updateArrived() {
    for (OptimizerState state : active) {
      for (Parameter each : state.parameters().takeArrived()) {
        changeWeights();
        Tensor gradients = each.takeGradient();
        arrived(state, each, state.parameters().span(each), gradients);
        gradients.release();
      }
    }
  }

  /**
   * Updates one parameter.
   *
   * @param span its slice of the flat buffers
   * @param gradients flat, of the weights' type; their content is undefined afterwards
   */
  protected abstract void arrived(
      OptimizerState state, Parameter parameter, Parameters.Span span, Tensor gradients);

  /**
   * Clips the gathered gradients to a norm as {@code torch.nn.utils.clip_grad_norm_} does, and
   * updates the weights. Where the norm is not finite nothing changes. The gradients are zero after
   * it.
   *
   * @param lossScale what the gathered gradients are too large by
   * @param norm gets the norm of the gradients of all groups as they are, times the loss scale and
   *     before clipping; not finite if one that has arrived is not
   */
  public abstract void update(Tensor learningRate, Tensor lossScale, Tensor norm);

  /**
   * The first parameter whose gradient is not finite; null if all are. Those that have gathered are
   * zero after {@link #update}, and must be gathered once more to be found.
   */
  public final @Nullable Parameter badGradient() {
    Parameter arrived = badArrival();
    if (arrived != null) {
      return arrived;
    }
    return active(false).stream()
        .flatMap(state -> state.parameters().all().stream())
        .filter(each -> each.isTrainable() && !each.gradient().isFinite())
        .findFirst()
        .orElse(null);
  }

  /** The first parameter whose gradient arrived in this step and was not finite, or null. */
  protected abstract @Nullable Parameter badArrival();

  /** Has every process know what the others have updated. */
  protected final void gatherUpdated() {
    if (options.shards.areCut()) {
      for (OptimizerState each : active(false)) {
        options.shards.gather(each.parameters().masters());
        each.parameters().copyMasters();
      }
    }
  }

  /**
   * Brings what is saved up to the weights, where the rule saves something else: {@link
   * Parameters#average}, which it keeps then.
   */
  public final void bringUpSaved() {
    double factor = rule.savedAt();
    if (factor != 0) {
      for (OptimizerState each : states) {
        Moment last = each.moments().get(each.moments().size() - 1);
        each.parameters().setAverage(each.own().from(), last.values(), factor);
        options.shards.gather(requireNonNull(each.parameters().average()));
      }
    }
  }

  /** The gathered gradients of all that trains now, in pieces of so many bytes or less. */
  public final GradientBuckets buckets(long bytes) {
    return new GradientBuckets(
        active(false).stream().map(OptimizerState::parameters).toList(), bytes, options.shards);
  }

  /** Leaves a group as it is from now on; what is remembered of it stays. */
  public final void freeze(Parameters group) {
    active.removeIf(each -> each.parameters() == group);
  }

  /** Sets all gathered gradients to zero; {@link #update} does so by itself. */
  public final void zeroGradients() {
    active(false).forEach(each -> each.parameters().zeroGradients());
  }
}
