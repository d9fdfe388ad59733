package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.global.torch;

/**
 * {@link Attention} between linear projections without bias: q of tokens x [B, N, C], k and v of a
 * context [B, M, I], which may be x itself. y [B, N, width]; weights [width, C] and [width, I].
 *
 * <p>On a CPU it is three times {@link Linear}, and {@link Attention}. With {@link Kernels} one
 * matrix product makes what is projected from the same input, where the weights lie one behind the
 * other; q, k and v are then columns of its result and are never copied, and the gradients of one
 * input are summed by the products that make them. Keeps x, the context, the projections, y and
 * what the engine keeps (step arena).
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
    if (Kernels.areTaken(tape.arena())) {
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

  /** The way of CUDA, on any device. */
  static Var packed(
      Tape tape, Var x, Var context, List<Parameter> weights, int heads, boolean causal) {
    return new ProjectedAttention(tape, x, context, weights, heads, causal).run();
  }

  private Var run() {
    boolean goesBack =
        x.needsGradient()
            || context.needsGradient()
            || weights.stream().anyMatch(Parameter::isTrainable);
    List<Tensor> projections =
        x == context
            ? projections(x, weights)
            : Stream.of(
                    projections(x, weights.subList(0, 1)),
                    projections(context, weights.subList(1, 3)))
                .flatMap(List::stream)
                .toList();
    AttentionEngine engine =
        AttentionChoice.of(tape.arena(), sizes(), () -> split(projections), goesBack);
    Tensor[] all =
        tape.arena()
            .computeAll(
                "attention",
                () -> {
                  org.bytedeco.pytorch.Tensor[] qkv = split(projections);
                  org.bytedeco.pytorch.Tensor[] r =
                      engine.forward(Attention::call, qkv[0], qkv[1], qkv[2], causal);
                  r[0] = Attention.joined(r[0]);
                  return r;
                });
    List<Tensor> kept = List.of(all).subList(1, all.length);
    List<Tensor> held =
        Stream.of(List.of(x.value(), context.value()), projections, List.of(all))
            .flatMap(List::stream)
            .toList();
    Var y =
        tape.record(
            "attention",
            all[0],
            goesBack,
            held,
            dy -> backward(engine, projections, all[0], kept, dy));
    projections.forEach(Tensor::release);
    kept.forEach(Tensor::release);
    return y;
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

  /** q, k and v, [B, heads, N, d], of the columns of the projections. */
  private org.bytedeco.pytorch.Tensor[] split(List<Tensor> projections) {
    long width = weights.get(0).shape()[0];
    return projections.stream()
        .flatMap(
            each ->
                Stream.iterate(0L, at -> at < each.size(-1), at -> at + width)
                    .map(at -> Attention.split(each.handle().narrow(-1, at, width), heads)))
        .toArray(org.bytedeco.pytorch.Tensor[]::new);
  }

  private void backward(
      AttentionEngine engine, List<Tensor> projections, Tensor y, List<Tensor> kept, Tensor dy) {
    Native.run(
        "attention.backward",
        () -> {
          org.bytedeco.pytorch.Tensor[] qkv = split(projections);
          org.bytedeco.pytorch.Tensor[] d =
              engine.backward(
                  Attention::call,
                  Attention.split(dy.handle(), heads),
                  qkv[0],
                  qkv[1],
                  qkv[2],
                  Attention.split(y.handle(), heads),
                  kept.stream().map(Tensor::handle).toArray(org.bytedeco.pytorch.Tensor[]::new),
                  causal);
          for (int i = 0; i < 3; i++) {
            d[i] = Attention.joined(d[i]).view(-1, weights.get(i).shape()[0]);
            if (weights.get(i).isTrainable()) {
              weights.get(i).accumulateProduct(d[i].t(), rows(i == 0 ? x : context));
            }
          }
          if (x == context) {
            accumulate(x, d, 0, 3);
          } else {
            accumulate(x, d, 0, 1);
            accumulate(context, d, 1, 3);
          }
        });
  }

  private static org.bytedeco.pytorch.Tensor rows(Var of) {
    return of.handle().view(-1, of.size(-1));
  }

  /** Passes on what comes back to an input by the projections {@code from} to {@code end}. */
  private void accumulate(Var to, org.bytedeco.pytorch.Tensor[] d, int from, int end) {
    if (!to.needsGradient()) {
      return;
    }
    to.accumulate(
        tape.arena()
            .compute(
                "linear.dx",
                () -> {
                  org.bytedeco.pytorch.Tensor sum =
                      d[from].matmul(weights.get(from).weight().handle());
                  for (int i = from + 1; i < end; i++) {
                    sum.addmm_(d[i], weights.get(i).weight().handle());
                  }
                  return sum.view(to.value().shape());
                }));
  }
}
