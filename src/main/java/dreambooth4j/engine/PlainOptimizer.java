package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.DoubleStream;
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
  /** Elements of 16 bits that are widened at once: whole rows, few enough to stay in a cache. */
  private static final long PIECE = 128 * Parameters.ROW;

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
  private UpdateRule.Step next(OptimizerState state, double rate, double gradientFactor) {
    Tensor steps = state.steps();
    Native.run("steps", () -> steps.handle().add_(new Scalar(1)));
    UpdateRule.Step step =
        new UpdateRule.Step(
            (long) steps.item(), rate * state.rateFactor(), gradientFactor, state.numbers());
    return remembered(state, step, rule().next(step));
  }

  /** A step with other numbers of its group, which are remembered. */
  private static UpdateRule.Step remembered(
      OptimizerState state, UpdateRule.Step step, List<Double> numbers) {
    state.remember(numbers);
    return step.with(numbers);
  }

  @Override
  protected void arrived(
      OptimizerState state, Parameter parameter, Parameters.Span span, Tensor gradients) {
    UpdateRule.Step step = begun.get(state);
    if (step == null) {
      throw new IllegalStateException("no step of gradients that arrive has begun");
    }
    if (rule() instanceof TensorRule) {
      seen(parameter, gradients);
      if (bad == null) {
        updateTensor(state, step, parameter, gradients);
      }
      return;
    }
    inPieces(
        gradients,
        (from, piece) -> {
          seen(parameter, piece);
          if (bad == null) {
            update(state, step, part(span, from, piece), piece, null);
          }
        });
  }

  /** Adds to the norm, and notes the first that is not finite. */
  private void seen(Parameter parameter, Tensor gradients) {
    double[] squares = {0};
    inPieces(gradients, (from, piece) -> squares[0] += squares(piece));
    arrivedSquares += squares[0];
    if (bad == null && !Double.isFinite(squares[0])) {
      bad = parameter;
    }
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
                changeWeights();
                double scale = lossScale.item();
                step(learningRate.item(), clip(scaled / scale) / scale);
                gatherUpdated();
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
    double sum = bad == null ? arrivedSquares : Double.NaN;
    for (OptimizerState each : active(false)) {
      Tensor own = each.parameters().gradients().rows(each.own().from(), each.own().length());
      double[] squares = new double[(int) (own.count() / PIECE) + 1];
      sharePieces(own, (from, piece) -> squares[(int) (from / PIECE)] = squares(piece));
      own.release();
      sum += DoubleStream.of(squares).sum();
    }
    return Math.sqrt(total(sum)[0]);
  }

  /** Sums over what all processes update. */
  private double[] total(double... own) {
    return options().shards().total(states().get(0).steps().arena(), own);
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
      piece(gradients, from, user);
    }
  }

  /** The same, on the CPU by all threads, and so in any order. */
  private static void sharePieces(Tensor gradients, BiConsumer<Long, Tensor> user) {
    boolean shared =
        gradients.dtype().isHalf()
            && gradients.arena().device() == Device.CPU
            && !gradients.arena().isDry();
    if (!shared) {
      inPieces(gradients, user);
      return;
    }
    long pieces = (gradients.count() + PIECE - 1) / PIECE;
    Threads.share(pieces, i -> piece(gradients, i * PIECE, user));
  }

  private static void piece(Tensor gradients, long from, BiConsumer<Long, Tensor> user) {
    Tensor piece = widened(gradients, from, Math.min(PIECE, gradients.count() - from));
    user.accept(from, piece);
    piece.release();
  }

  /** {@link #inPieces} or {@link #sharePieces}. */
  @FunctionalInterface
  private interface Walk {
    void pieces(Tensor gradients, BiConsumer<Long, Tensor> user);
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
    Map<OptimizerState, UpdateRule.Step> steps = new LinkedHashMap<>();
    active(false).forEach(each -> steps.put(each, next(each, learningRate, gradientFactor)));
    if (rule() instanceof SurveyingRule surveying) {
      survey(surveying, steps);
    }
    steps.forEach(
        (each, step) -> {
          if (rule() instanceof TensorRule) {
            each.parameters().all().stream()
                .filter(Parameter::isTrainable)
                .forEach(tensor -> updateTensor(each, step, tensor, flat(each, tensor)));
          } else {
            gathered(
                each,
                PlainOptimizer::sharePieces,
                (span, piece) -> update(each, step, span, piece, null));
          }
        });
  }

  private static Tensor flat(OptimizerState state, Parameter tensor) {
    return state.parameters().gradients().rows(tensor.offset(), tensor.count());
  }

  /** Hands on a group's gathered gradients, no narrower than F32, with where each piece lies. */
  private static void gathered(
      OptimizerState state, Walk walk, BiConsumer<Parameters.Span, Tensor> user) {
    for (Parameters.Span span : state.spans()) {
      Tensor gradients = state.parameters().gradients().rows(span.from(), span.length());
      walk.pieces(gradients, (from, piece) -> user.accept(part(span, from, piece), piece));
      gradients.release();
    }
  }

  /** A rule that needs sums over all gradients gets them, and says the steps' numbers by them. */
  private void survey(SurveyingRule rule, Map<OptimizerState, UpdateRule.Step> steps) {
    double[] sums = new double[2];
    steps.forEach(
        (each, step) ->
            gathered(
                each,
                PlainOptimizer::inPieces,
                (span, piece) -> {
                  List<Moment> parts = each.moments(span);
                  if (!piece.arena().isDry()) {
                    double[] more = rule.survey(step, piece, values(parts));
                    sums[0] += more[0];
                    sums[1] += more[1];
                  }
                  parts.forEach(Moment::release);
                }));
    double[] all = total(sums);
    steps.replaceAll((each, step) -> remembered(each, step, rule.next(step, all)));
  }

  private static List<Tensor> values(List<Moment> moments) {
    return moments.stream().map(Moment::values).toList();
  }

  /** Updates one tensor by a rule that must see it whole; its gradients are widened whole too. */
  private void updateTensor(
      OptimizerState state, UpdateRule.Step step, Parameter tensor, Tensor gradients) {
    Parameters.Span span = new Parameters.Span(tensor.offset(), tensor.count());
    Tensor own = gradients.rows(0, tensor.count());
    Tensor wide = own.dtype().isHalf() ? widened(own, 0, tensor.count()) : own.retain();
    update(state, step, span, wide, tensor);
    wide.release();
    own.release();
  }

  private static Parameters.Span part(Parameters.Span of, long from, Tensor piece) {
    return new Parameters.Span(of.from() + from, piece.count());
  }

  /**
   * Updates a part of a group by gradients that are no narrower than F32. In a dry tree only what
   * that makes is made.
   */
  private void update(
      OptimizerState state,
      UpdateRule.Step step,
      Parameters.Span span,
      Tensor gradients,
      @Nullable Parameter tensor) {
    Parameters group = state.parameters();
    if (group.roundsAtRandom()) {
      updateAlone(state, step, span, gradients, tensor);
      return;
    }
    if (gradients.arena().isDry()) {
      return;
    }
    Tensor masters = group.masters().rows(span.from(), span.length());
    compute(state, step, span, masters, gradients, tensor);
    if (group.hasMasters()) {
      Tensor weights = group.weights().rows(span.from(), span.length());
      weights.copyFrom(masters);
      weights.release();
    }
    masters.release();
  }

  /** Updates a part of weights that have no masters, in F32, and rounds it at random. */
  private void updateAlone(
      OptimizerState state,
      UpdateRule.Step step,
      Parameters.Span span,
      Tensor gradients,
      @Nullable Parameter tensor) {
    Tensor wide = widened(state.parameters().weights(), span.from(), span.length());
    if (!gradients.arena().isDry()) {
      compute(state, step, span, wide, gradients, tensor);
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
      Tensor gradients,
      @Nullable Parameter tensor) {
    List<Moment> parts = state.moments(span);
    if (options().anchor().weight() != 0) {
      pull(state, step, span, masters, values(parts));
    }
    if (options().in8Bits()) {
      new QuantizedUpdate(rule().inF32(step), masters, gradients, parts).run();
      parts.forEach(Moment::release);
      return;
    }
    if (tensor != null && rule() instanceof TensorRule of) {
      compute(of, state, step, tensor, masters, gradients, values(parts));
    } else {
      rule().update(step, masters, gradients, values(parts));
    }
    parts.forEach(Moment::release);
  }

  /** Moves weights towards where they were, piece by piece. */
  private void pull(
      OptimizerState state,
      UpdateRule.Step step,
      Parameters.Span span,
      Tensor masters,
      List<Tensor> moments) {
    UpdateRule.Pull pull = rule().pull(step);
    Scalar weight = new Scalar(options().anchor().weight());
    Tensor anchor = state.anchor(span);
    for (long from = 0; from < span.length(); from += PIECE) {
      long at = from;
      long length = Math.min(PIECE, span.length() - from);
      Native.run(
          "anchor",
          () -> {
            var w = masters.handle().narrow(0, at, length);
            var way = anchor == null ? w.clone() : w.sub(beside(anchor, at, w));
            w.sub_(way.mul_(weight), new Scalar(pull.weights()));
            if (pull.lastMoment() != 0) {
              Tensor last = moments.get(moments.size() - 1);
              last.handle().narrow(0, at, length).sub_(way, new Scalar(pull.lastMoment()));
            }
          });
    }
    if (anchor != null) {
      anchor.release();
    }
  }

  /** A part of a flat tensor in the type of another. */
  private static org.bytedeco.pytorch.Tensor beside(
      Tensor flat, long from, org.bytedeco.pytorch.Tensor like) {
    return flat.handle().narrow(0, from, like.numel()).to(like.scalar_type());
  }

  private static void compute(
      TensorRule rule,
      OptimizerState state,
      UpdateRule.Step step,
      Parameter tensor,
      Tensor masters,
      Tensor gradients,
      List<Tensor> moments) {
    long[] shape = tensor.shape();
    List<Tensor> all = new ArrayList<>(List.of(masters.reshaped(shape), gradients.reshaped(shape)));
    moments.forEach(each -> all.add(each.reshaped(shape)));
    List<Tensor> own = state.ofTensors(rule, tensor);
    rule.update(step, shape, all.get(0), all.get(1), all.subList(2, all.size()), own);
    all.forEach(Tensor::release);
    own.forEach(Tensor::release);
  }
}
