package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * {@link Attention} between linear projections without bias: q of tokens x [B, N, C], k and v of a
 * context [B, M, I], which may be x itself. y [B, N, width]; weights [width, C] and [width, I].
 *
 * <p>On a CPU it is three times {@link Linear}, and {@link Attention}. With {@link Kernels} one
 * matrix product makes what is projected from the same input, where the weights lie one behind the
 * other; q, k and v are then columns of its result and are never copied, and the gradients of one
 * input are summed by the products that make them. Keeps the projections, y, what the engine keeps
 * (step arena) and, where a weight trains, x and the context.
 */
public final class ProjectedAttention {
  private final Tape tape;
  private final Var x;
  private final Var context;
  private final List<Parameter> weights;
  private final int heads;
  private final boolean causal;

  private ProjectedAttention(
      Tape tape, Var x, Var context, List<Parameter> weights, int heads, boolean causal) {
    this.tape = tape;
    this.x = x;
    this.context = context;
    this.weights = weights;
    this.heads = heads;
    this.causal = causal;
  }

  /**
   * Attends with {@code heads} heads, which must divide the width.
   *
   * @param weights of q, k and v
   */
  public static Var apply(
      Tape tape, Var x, Var context, List<Parameter> weights, int heads, boolean causal) {
    if (Kernels.of(tape.arena()) != null) {
      return packed(tape, x, context, weights, heads, causal);
    }
    return Attention.apply(
        tape,
        Linear.apply(tape, x, weights.get(0), null),
        Linear.apply(tape, context, weights.get(1), null),
        Linear.apply(tape, context, weights.get(2), null),
        heads,
        causal);
  }

  /** The form that CUDA takes, on any device. */
  static Var packed(
      Tape tape, Var x, Var context, List<Parameter> weights, int heads, boolean causal) {
    return new ProjectedAttention(tape, x, context, weights, heads, causal).run();
  }

  private Var run() {
    boolean trains = trains();
    boolean backward = x.needsGradient() || context.needsGradient() || trains;
    List<Tensor> projections =
        x == context
            ? projections(x, weights)
            : Stream.of(
                    projections(x, weights.subList(0, 1)),
                    projections(context, weights.subList(1, 3)))
                .flatMap(List::stream)
                .toList();
    AttentionCall call =
        AttentionCall.forward(tape.arena(), sizes(), () -> qkv(projections), backward);
    List<Tensor> kept =
        Stream.of(
                trains ? List.of(x.value(), context.value()) : List.<Tensor>of(),
                projections,
                call.results())
            .flatMap(List::stream)
            .toList();
    Var y = tape.record("attention", call.y(), backward, kept, dy -> backward(call, dy));
    projections.forEach(Tensor::release);
    call.releaseKept();
    return y;
  }

  private boolean trains() {
    return weights.stream().anyMatch(Parameter::isTrainable);
  }

  private Sizes sizes() {
    long width = weights.get(0).shape()[0];
    return new Sizes(
        x.value().dtype(), x.size(0), heads, x.size(1), context.size(1), width / heads, causal);
  }

  /** One tensor with all columns where the weights are joined, otherwise one for each. */
  private List<Tensor> projections(Var of, List<Parameter> by) {
    Tensor matrix = Parameter.joined(by);
    if (matrix == null) {
      return by.stream().map(each -> product(of, each.weight())).toList();
    }
    Tensor product = product(of, matrix);
    matrix.release();
    return List.of(product);
  }

  private Tensor product(Var of, Tensor matrix) {
    return tape.arena().compute("linear", () -> torch.linear(of.handle(), matrix.handle()));
  }

  /** q, k and v are columns of the projections. */
  private Qkv qkv(List<Tensor> projections) {
    long width = weights.get(0).shape()[0];
    var columns =
        projections.stream()
            .flatMap(
                each ->
                    Stream.iterate(0L, at -> at < each.size(-1), at -> at + width)
                        .map(at -> each.handle().narrow(-1, at, width)))
            .toList();
    return Qkv.ofTokens(columns.get(0), columns.get(1), columns.get(2), heads, causal);
  }

  private void backward(AttentionCall call, Tensor dy) {
    Native.run(
        "attention.backward",
        () -> {
          var d = call.gradients(dy);
          for (int i = 0; i < 3; i++) {
            d[i] = d[i].view(-1, weights.get(i).shape()[0]);
          }
          Tensor matrix = x == context ? Parameter.joined(weights) : null;
          if (matrix != null) {
            joinedBackward(d, matrix);
            matrix.release();
          } else {
            backward(d);
          }
        });
  }

  /** dq, dk and dv side by side: so one product gives the weights' gradients, and one gives dx. */
  private void joinedBackward(org.bytedeco.pytorch.Tensor[] d, Tensor matrix) {
    Arena arena = tape.arena();
    Tensor all = arena.compute("attention.dqkv", () -> torch.cat(new TensorVector(d), 1));
    TwoGradients.run(
        arena,
        x.needsGradient(),
        () ->
            x.accumulate(
                arena.compute(
                    "linear.dx",
                    () -> all.handle().matmul(matrix.handle()).view(x.value().shape()))),
        trains(), // otherwise x is not kept
        () ->
            Parameter.accumulateProduct(
                weights, all.handle().t(), x.handle().view(-1, x.size(-1))));
    all.release();
  }

  private void backward(org.bytedeco.pytorch.Tensor[] d) {
    TwoGradients.run(
        tape.arena(),
        x.needsGradient() || context.needsGradient(),
        () -> {
          accumulate(x, d, 0, x == context ? 3 : 1);
          if (x != context) {
            accumulate(context, d, 1, 3);
          }
        },
        trains(),
        () -> accumulateWeights(d));
  }

  private void accumulateWeights(org.bytedeco.pytorch.Tensor[] d) {
    for (int i = 0; i < 3; i++) {
      if (weights.get(i).isTrainable()) {
        var rows = (i == 0 ? x : context).handle();
        weights.get(i).accumulateProduct(d[i].t(), rows.view(-1, rows.size(-1)));
      }
    }
  }

  /** Adds up the gradients that an input has by the projections {@code from} to {@code end}. */
  private void accumulate(Var to, org.bytedeco.pytorch.Tensor[] d, int from, int end) {
    if (!to.needsGradient()) {
      return;
    }
    to.accumulate(
        tape.arena()
            .compute(
                "linear.dx",
                () -> {
                  var sum = d[from].matmul(weights.get(from).weight().handle());
                  for (int i = from + 1; i < end; i++) {
                    sum.addmm_(d[i], weights.get(i).weight().handle());
                  }
                  return sum.view(to.value().shape());
                }));
  }
}
