package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.global.torch;

/**
 * Layer normalisation over the last axis. x, y [.., C]; gamma, beta [C]; keeps x, mean and rstd
 * [.., 1] (step arena).
 */
public final class LayerNorm {
  private LayerNorm() {}

  /** Normalises each row of the last axis. */
  public static Var apply(Tape tape, Var x, Parameter gamma, Parameter beta, double epsilon) {
    long[] axis = {x.size(-1)};
    Tensor[] all =
        tape.arena()
            .computeAll(
                "layer_norm",
                () -> {
                  if (Dry.is(x.at())) {
                    return Dry.normalised(x.at(), x.value().count() / x.size(-1), 1);
                  }
                  T_TensorTensorTensor_T r =
                      torch.native_layer_norm(x.at(), axis, Wide.of(gamma), Wide.of(beta), epsilon);
                  return new org.bytedeco.pytorch.Tensor[] {r.get0(), r.get1(), r.get2()};
                });
    Tensor mean = all[1];
    Tensor rstd = all[2];
    Var y =
        tape.record(
            "layer_norm",
            all[0],
            x.needsGradient() || gamma.isTrainable(),
            List.of(x.value(), mean, rstd),
            dy -> backward(tape, x, gamma, beta, axis, mean, rstd, dy));
    mean.release();
    rstd.release();
    return y;
  }

  private static void backward(
      Tape tape,
      Var x,
      Parameter gamma,
      Parameter beta,
      long[] axis,
      Tensor mean,
      Tensor rstd,
      Tensor dy) {
    if (Dry.is(x.at())) {
      Dry.backward(tape, x, gamma, beta);
      return;
    }
    Native.run(
        "layer_norm.backward",
        () -> {
          boolean train = gamma.isTrainable();
          BoolPointer mask = new BoolPointer(3);
          mask.put(0, x.needsGradient()).put(1, train).put(2, train);
          T_TensorTensorTensor_T all =
              torch.native_layer_norm_backward(
                  dy.at(), x.at(), axis, mean.at(), rstd.at(), Wide.of(gamma), Wide.of(beta), mask);
          if (x.needsGradient()) {
            x.accumulate(tape.arena().compute("layer_norm.dx", all::get0));
          }
          if (train) {
            gamma.accumulate(all.get1());
            beta.accumulate(all.get2());
          }
        });
  }
}
