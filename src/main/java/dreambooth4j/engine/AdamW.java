package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * AdamW (Loshchilov and Hutter 2019) over flat buffers, as {@code torch.optim.AdamW} computes it.
 * Each group of parameters is one call, whatever the number of its tensors.
 */
public final class AdamW {
  /**
   * The rule's constants.
   *
   * @param weightDecay decoupled: each step takes learning rate × this off every weight
   */
  public record Settings(double beta1, double beta2, double epsilon, double weightDecay) {}

  /**
   * What the rule remembers of one group: the moments, flat as the weights, and the number of steps
   * taken, an F32 of one element.
   */
  public record State(Parameters parameters, Tensor mean, Tensor variance, Tensor steps) {}

  /** A group that still trains, and which parts of it do. */
  private record Active(State state, List<Parameters.Span> spans) {}

  private final Settings settings;
  private final List<State> states = new ArrayList<>();
  private final List<Active> active = new ArrayList<>();
  private final Tensor gradientDivisor;

  /**
   * Moments are allocated in {@code arena}, all zero; the groups must be allocated and trainable.
   * Parameters that are frozen by now stay as they are: they do not decay either.
   */
  public AdamW(Arena arena, Settings settings, List<Parameters> groups) {
    this.settings = settings;
    for (Parameters each : groups) {
      DType dtype = each.dtype();
      State state =
          new State(
              each,
              arena.zeros("adam mean", dtype, each.flatCount()),
              arena.zeros("adam variance", dtype, each.flatCount()),
              arena.zeros("adam steps", DType.F32, 1));
      states.add(state);
      active.add(new Active(state, each.trainedSpans()));
    }
    gradientDivisor = arena.zeros("gradient divisor", DType.F32, 1);
  }

  /** What it remembers, a group each, to be saved and restored in place. */
  public List<State> states() {
    return List.copyOf(states);
  }

  /** The Euclidean norm of all gradients of all groups that train, together. */
  public double gradientNorm() {
    double sum = 0;
    for (Active each : active) {
      sum += squares(each.state.parameters().gradients());
    }
    return Math.sqrt(sum);
  }

  /** In F32 within a row and in double beyond: one F32 sum over 10⁹ squares would lose digits. */
  private static double squares(Tensor flat) {
    return Native.call(
        "gradient norm",
        () ->
            torch
                .linalg_vector_norm(
                    flat.at().view(-1, Parameters.ROW),
                    new org.bytedeco.pytorch.Scalar(2),
                    new long[] {1},
                    false,
                    new ScalarTypeOptional())
                .to(torch.ScalarType.Double)
                .square_()
                .sum()
                .item_double());
  }

  /**
   * Updates all weights.
   *
   * @param clip what the gradients are multiplied with first, such as the factor of norm clipping
   */
  public void step(double learningRate, double clip) {
    Native.run(
        "adamw", () -> gradientDivisor.at().fill_(new org.bytedeco.pytorch.Scalar(1 / clip)));
    for (Active each : active) {
      Native.run("adamw", () -> each.state.steps().at().add_(new org.bytedeco.pytorch.Scalar(1)));
      for (Parameters.Span span : each.spans) {
        Native.run("adamw", () -> step(each.state, span, learningRate, clip));
      }
    }
  }

  private void step(State state, Parameters.Span span, double learningRate, double clip) {
    Boxed.call(
        "_fused_adamw_",
        list(state.parameters().weights(), span),
        list(state.parameters().gradients(), span),
        list(state.mean(), span),
        list(state.variance(), span),
        new org.bytedeco.pytorch.Tensor[0],
        new org.bytedeco.pytorch.Tensor[] {state.steps().at()},
        learningRate,
        settings.beta1(),
        settings.beta2(),
        settings.weightDecay(),
        settings.epsilon(),
        false,
        false,
        clip == 1 ? null : gradientDivisor.at(),
        null);
  }

  private static org.bytedeco.pytorch.Tensor[] list(Tensor flat, Parameters.Span span) {
    return new org.bytedeco.pytorch.Tensor[] {flat.at().narrow(0, span.from(), span.length())};
  }

  /** Leaves a group as it is from now on; what is remembered of it stays. */
  public void freeze(Parameters group) {
    active.removeIf(each -> each.state.parameters() == group);
  }

  /** Sets all gradients to zero. */
  public void zeroGradients() {
    for (Active each : active) {
      each.state.parameters().gradients().zero_();
    }
  }
}
