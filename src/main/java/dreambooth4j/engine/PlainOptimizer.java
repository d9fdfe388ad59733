package dreambooth4j.engine;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * An optimizer by libtorch's ops, and on the CPU by Java for moments of 8 bits. A group is one call
 * of the rule, whatever the number of its tensors. Where a group computes in 16 bits, its masters
 * are updated, and the weights are their rounded copy; weights without masters are updated in F32
 * piece by piece and rounded at random ({@link Rounding}).
 */
public final class PlainOptimizer extends Optimizer {
  /** Elements of 16 bits that are widened at once: whole rows. */
  private static final long PIECE = 256 * Parameters.ROW;

  private final Map<OptimizerState, UpdateRule.Step> begun = new HashMap<>();
  private double arrivedSquares;
  private @Nullable Parameter bad;

  /** As {@link Optimizer#Optimizer}. */
  public PlainOptimizer(Arena arena, UpdateRule rule, List<Group> groups, Options options) {
    super(arena, rule, groups, options);
  }

  @Override
  public void begin(Tensor learningRate) {
    super.begin(learningRate);
    begun.clear();
    arrivedSquares = 0;
    bad = null;
    List<OptimizerState> passing = active(true);
    double rate = passing.isEmpty() ? 0 : learningRate.item();
    passing.forEach(each -> begun.put(each, next(each, rate, 1)));
  }

  /** Counts one step more of a group, which learns at its own part of this rate. */
  private static UpdateRule.Step next(OptimizerState state, double rate, double gradientFactor) {
    Tensor steps = state.steps();
    Native.run("steps", () -> steps.handle().add_(new Scalar(1)));
    return new UpdateRule.Step((long) steps.item(), rate * state.rateFactor(), gradientFactor);
  }

  @Override
  protected void arrived(
      OptimizerState state, Parameter parameter, Parameters.Span span, Tensor gradients) {
    UpdateRule.Step step = begun.get(state);
    if (step == null) {
      throw new IllegalStateException("no step of gradients that arrive has begun");
    }
    inPieces(
        gradients,
        (from, piece) -> {
          double squares = squares(piece);
          arrivedSquares += squares;
          if (bad == null && !Double.isFinite(squares)) {
            bad = parameter;
          }
          if (bad == null) {
            update(state, step, part(span, from, piece), piece);
          }
        });
  }

  @Override
  protected @Nullable Parameter badArrival() {
    return bad;
  }

  @Override
  public void update(Tensor learningRate, Tensor lossScale, Tensor norm) {
    double found =
        Threads.withAll(
            () -> {
              double scaled = gradientNorm();
              if (Float.isFinite((float) scaled)) {
                double scale = lossScale.item();
                step(learningRate.item(), clip(scaled / scale) / scale);
              }
              zeroGradients();
              return scaled;
            });
    norm.copyFrom(new float[] {(float) found});
  }

  private double clip(double norm) {
    double most = options().maxNorm();
    return most == 0 ? 1 : Math.min(1, most / (norm + 1e-6));
  }

  private double gradientNorm() {
    double[] sum = {bad == null ? arrivedSquares : Double.NaN};
    for (OptimizerState each : active(false)) {
      inPieces(each.parameters().gradients(), (from, piece) -> sum[0] += squares(piece));
    }
    return Math.sqrt(sum[0]);
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

  /** Updates all weights whose gradients were gathered. */
  private void step(double learningRate, double gradientFactor) {
    for (OptimizerState each : active(false)) {
      UpdateRule.Step step = next(each, learningRate, gradientFactor);
      for (Parameters.Span span : each.parameters().trainedSpans()) {
        Tensor gradients = each.parameters().gradients().rows(span.from(), span.length());
        inPieces(gradients, (from, piece) -> update(each, step, part(span, from, piece), piece));
        gradients.release();
      }
    }
  }

  private static Parameters.Span part(Parameters.Span of, long from, Tensor piece) {
    return new Parameters.Span(of.from() + from, piece.count());
  }

  /**
   * Updates a part of a group by gradients that are no narrower than F32. In a dry tree only what
   * that makes is made.
   */
  private void update(
      OptimizerState state, UpdateRule.Step step, Parameters.Span span, Tensor gradients) {
    Parameters group = state.parameters();
    if (group.roundsAtRandom()) {
      updateAlone(state, step, span, gradients);
      return;
    }
    if (gradients.arena().isDry()) {
      return;
    }
    Tensor masters = group.masters().rows(span.from(), span.length());
    compute(state, step, span, masters, gradients);
    if (group.hasMasters()) {
      Tensor weights = group.weights().rows(span.from(), span.length());
      weights.copyFrom(masters);
      weights.release();
    }
    masters.release();
  }

  /** Updates a part of weights that have no masters, in F32, and rounds it at random. */
  private void updateAlone(
      OptimizerState state, UpdateRule.Step step, Parameters.Span span, Tensor gradients) {
    Tensor wide = widened(state.parameters().weights(), span.from(), span.length());
    if (!gradients.arena().isDry()) {
      compute(state, step, span, wide, gradients);
      Tensor weights = state.parameters().weights().rows(span.from(), span.length());
      state.rounding().round(wide, weights, span.from(), step.number());
      weights.release();
    }
    wide.release();
  }

  private void compute(
      OptimizerState state,
      UpdateRule.Step step,
      Parameters.Span span,
      Tensor masters,
      Tensor gradients) {
    if (options().in8Bits()) {
      new QuantizedUpdate(rule().inF32(step), masters, gradients, state.moments()).run(span.from());
      return;
    }
    List<Moment> parts = state.moments().stream().map(each -> each.part(span)).toList();
    rule().update(step, masters, gradients, parts.stream().map(Moment::values).toList());
    parts.forEach(Moment::release);
  }
}
