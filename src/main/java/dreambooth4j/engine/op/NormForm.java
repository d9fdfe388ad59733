package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.NormKernels;
import java.util.List;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.jspecify.annotations.Nullable;

/**
 * How a normalisation is computed: by libtorch, by kernels of ours, or dry. {@link GroupNorm} and
 * {@link LayerNorm} choose it once, in forward; the same form computes the gradients.
 */
abstract class NormForm {
  /** What forward gives, held by the caller: y, and the statistics that backward reads. */
  record Result(Tensor y, Tensor mean, Tensor rstd) {}

  final String op;
  final Arena arena;
  final Parameter gamma;
  final Parameter beta;

  NormForm(String op, Arena arena, Parameter gamma, Parameter beta) {
    this.op = op;
    this.arena = arena;
    this.gamma = gamma;
    this.beta = beta;
  }

  /** Normalises x. */
  abstract Result forward(Tensor x);

  /** Accumulates the gradients of x, gamma and beta, those that are needed. */
  abstract void backward(Var x, Result made, Tensor dy);

  /** Records what {@link #forward} made of x; the tape takes it over. */
  final Var record(Tape tape, Var x, Result made) {
    Var y =
        tape.record(
            op,
            made.y,
            x.needsGradient() || gamma.isTrainable(),
            List.of(x.value(), made.mean, made.rstd),
            dy -> backward(x, made, dy));
    made.mean.release();
    made.rstd.release();
    return y;
  }

  /** Shapes alone. */
  static final class OfShapes extends NormForm {
    private final long[] statistics;

    /** {@code statistics}: the shape of mean and rstd. */
    OfShapes(String op, Arena arena, Parameter gamma, Parameter beta, long... statistics) {
      super(op, arena, gamma, beta);
      this.statistics = statistics;
    }

    @Override
    Result forward(Tensor x) {
      Tensor[] all = arena.computeAll(op, () -> Dry.normalised(x.handle(), statistics));
      return new Result(all[0], all[1], all[2]);
    }

    @Override
    void backward(Var x, Result made, Tensor dy) {
      Dry.backward(arena, x, gamma, beta);
    }
  }

  /** By kernels of ours. */
  static final class Launched extends NormForm {
    private final NormKernels kernels;

    Launched(String op, Arena arena, Parameter gamma, Parameter beta, NormKernels kernels) {
      super(op, arena, gamma, beta);
      this.kernels = kernels;
    }

    /** Room for what the kernels make of x. */
    Result room(Tensor x) {
      long[] statistics = kernels.statistics(x);
      return new Result(
          arena.allocate(op, x.dtype(), x.shape()),
          arena.allocate(op + ".mean", DType.F32, statistics),
          arena.allocate(op + ".rstd", DType.F32, statistics));
    }

    /** The tensors of both directions. */
    NormKernels.Tensors tensors(Tensor x, Result made) {
      return new NormKernels.Tensors(x, gamma.weight(), beta.weight(), made.mean, made.rstd);
    }

    @Override
    Result forward(Tensor x) {
      Result made = room(x);
      long elements = kernels.forwardWork(x);
      Tensor work = elements == 0 ? null : arena.allocate("work", DType.F32, elements);
      kernels.forward(tensors(x, made), work, made.y);
      release(work);
      return made;
    }

    @Override
    void backward(Var x, Result made, Tensor dy) {
      boolean train = gamma.isTrainable();
      Tensor other = x.takeGradient();
      Tensor dx = x.needsGradient() ? arena.allocate(op + ".dx", dy.dtype(), dy.shape()) : null;
      Tensor work = arena.allocate("work", DType.F32, kernels.backwardWork(x.value()));
      NormKernels.Tensors of = tensors(x.value(), made);
      if (train) {
        Parameter.accumulateBy(
            gamma,
            beta,
            (dgamma, dbeta, add) ->
                kernels.backward(
                    of, dy, other, work, new NormKernels.Gradients(dx, dgamma, dbeta, add)));
      } else {
        kernels.backward(of, dy, other, work, new NormKernels.Gradients(dx, null, null, false));
      }
      work.release();
      release(other);
      if (dx != null) {
        x.accumulate(dx);
      }
    }

    private static void release(@Nullable Tensor tensor) {
      if (tensor != null) {
        tensor.release();
      }
    }
  }

  /** By libtorch. */
  abstract static class Plain extends NormForm {
    Plain(String op, Arena arena, Parameter gamma, Parameter beta) {
      super(op, arena, gamma, beta);
    }

    /** Handles of dx, dgamma and dbeta, those that are {@code wanted}; inside a native call. */
    abstract T_TensorTensorTensor_T gradients(Tensor x, Result made, Tensor dy, BoolPointer wanted);

    /** What libtorch gives for pictures or rows, in the layout of x. */
    abstract org.bytedeco.pytorch.Tensor inOurLayout(org.bytedeco.pytorch.Tensor theirs);

    @Override
    final void backward(Var x, Result made, Tensor dy) {
      Native.run(
          op + ".backward",
          () -> {
            boolean train = gamma.isTrainable();
            BoolPointer wanted = new BoolPointer(3);
            wanted.put(0, x.needsGradient()).put(1, train).put(2, train);
            var all = gradients(x.value(), made, dy, wanted);
            if (x.needsGradient()) {
              x.accumulate(arena.compute(op + ".dx", () -> inOurLayout(all.get0())));
            }
            if (train) {
              gamma.accumulate(all.get1());
              beta.accumulate(all.get2());
            }
          });
    }
  }
}
