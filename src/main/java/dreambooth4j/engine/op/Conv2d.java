package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Convolution of channels-last images, cross-correlation as in libtorch. x [B, H, W, I], y [B, H',
 * W', O]; weight [O, kh, kw, I] in memory, bias [O]; keeps x.
 */
public final class Conv2d {
  private static final long[] ONE = {1, 1};
  private static final long[] ZERO = {0, 0};

  private Conv2d() {}

  /** Convolves with the same stride and zero padding on both axes; the bias may be missing. */
  public static Var apply(
      Tape tape, Var x, Parameter weight, @Nullable Parameter bias, int stride, int padding) {
    long[] strides = {stride, stride};
    long[] paddings = {padding, padding};
    Tensor y =
        tape.arena()
            .compute(
                "conv2d",
                () ->
                    Dry.is(x.at())
                        ? Dry.of(x.at(), outputShape(x, weight, stride, padding))
                        : ChannelsLast.out(convolved(x, weight, bias, strides, paddings)));
    boolean reaches = x.needsGradient() || weight.isTrainable();
    return tape.record(
        "conv2d",
        y,
        reaches,
        List.of(x.value()),
        dy -> backward(tape, x, weight, bias, strides, paddings, dy));
  }

  private static org.bytedeco.pytorch.Tensor convolved(
      Var x, Parameter weight, @Nullable Parameter bias, long[] strides, long[] paddings) {
    return torch.convolution(
        ChannelsLast.in(x.at()),
        ChannelsLast.in(weight.weight().at()),
        bias == null ? new TensorOptional() : new TensorOptional(bias.weight().at()),
        strides,
        paddings,
        ONE,
        false,
        ZERO,
        1);
  }

  private static long[] outputShape(Var x, Parameter weight, int stride, int padding) {
    long[] kernel = weight.shape();
    return new long[] {
      x.size(0),
      (x.size(1) + 2L * padding - kernel[1]) / stride + 1,
      (x.size(2) + 2L * padding - kernel[2]) / stride + 1,
      kernel[0]
    };
  }

  private static void backward(
      Tape tape,
      Var x,
      Parameter weight,
      @Nullable Parameter bias,
      long[] strides,
      long[] paddings,
      Tensor dy) {
    boolean train = weight.isTrainable();
    if (Dry.is(x.at())) {
      Dry.backward(tape, x, weight, bias);
      return;
    }
    Native.run(
        "conv2d.backward",
        () -> {
          BoolPointer mask = new BoolPointer(3);
          mask.put(0, x.needsGradient()).put(1, train).put(2, train && bias != null);
          T_TensorTensorTensor_T all =
              torch.convolution_backward(
                  ChannelsLast.in(dy.at()),
                  ChannelsLast.in(x.at()),
                  ChannelsLast.in(weight.weight().at()),
                  new long[] {dy.size(-1)},
                  strides,
                  paddings,
                  ONE,
                  false,
                  ZERO,
                  1,
                  mask);
          if (x.needsGradient()) {
            x.accumulate(tape.arena().compute("conv2d.dx", () -> ChannelsLast.out(all.get0())));
          }
          if (train) {
            weight.accumulate(all.get1().permute(0, 2, 3, 1));
            if (bias != null) {
              bias.accumulate(all.get2());
            }
          }
        });
  }
}
