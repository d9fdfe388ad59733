package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.cudnn.Convolution;
import dreambooth4j.engine.cudnn.Convolutions;
import java.util.List;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Convolution of channels-last images, cross-correlation as in libtorch. x [B, H, W, I], y [B, H',
 * W', O]; weight [O, kh, kw, I] in memory, bias [O]; keeps x where the weight trains. On CUDA by
 * {@link Convolutions}, where they have a plan for it.
 *
 * <p>On the CPU, where there are few pixels the weights are most of what is moved, and libtorch's
 * convolution, which puts them into an order of its own in each call, takes up to six times as long
 * as a product of the {@link Patches} with the weights as they are; where there are many, {@link
 * Winograd} multiplies less. Which it is depends on shape and type alone.
 */
public final class Conv2d {
  /** Up to so many pixels of output the matrix product is faster: bench/LOG.md. */
  private static final long FEW_PIXELS = 512;

  private static final long[] ONE = {1, 1};
  private static final long[] ZERO = {0, 0};

  private final Tape tape;
  private final Var x;
  private final Parameter weight;
  private final @Nullable Parameter bias;
  private final Convolution shape;
  private final long[] strides;
  private final long[] paddings;
  private final Patches patches;

  private Conv2d(Tape tape, Convolution shape, Var x, Parameter weight, @Nullable Parameter bias) {
    this.tape = tape;
    this.x = x;
    this.weight = weight;
    this.bias = bias;
    this.shape = shape;
    strides = new long[] {shape.stride(), shape.stride()};
    paddings = new long[] {shape.padding(), shape.padding()};
    patches = new Patches(shape);
  }

  /** Convolves with the same stride and zero padding on both axes; the bias may be missing. */
  public static Var apply(
      Tape tape, Var x, Parameter weight, @Nullable Parameter bias, int stride, int padding) {
    Convolution shape = Convolution.of(x.value(), weight, stride, padding);
    Convolutions cudnn = OpBackend.of(tape.arena()).convolutions();
    if (cudnn != null && cudnn.take(tape.arena(), shape, x.needsGradient(), weight.isTrainable())) {
      return byCudnn(cudnn, shape, tape, x, weight, bias);
    }
    return new Conv2d(tape, shape, x, weight, bias).apply();
  }

  private static Var byCudnn(
      Convolutions cudnn,
      Convolution shape,
      Tape tape,
      Var x,
      Parameter weight,
      @Nullable Parameter bias) {
    Arena arena = tape.arena();
    return tape.record(
        "conv2d",
        cudnn.forward(arena, shape, x.value(), weight, bias),
        x.needsGradient() || weight.isTrainable(),
        kept(x, weight),
        dy ->
            TwoGradients.run(
                arena,
                x.needsGradient(),
                () -> x.accumulate(cudnn.backward(arena, shape, dy, weight)),
                weight.isTrainable(),
                () -> {
                  cudnn.gather(arena, shape, x.value(), dy, weight);
                  BiasGradient.accumulate(arena, bias, dy);
                }));
  }

  private Var apply() {
    if (tape.arena().device() == Device.CPU && Winograd.suits(shape)) {
      return record(winograd(), this::winogradBackward);
    }
    if (patches.rows() <= FEW_PIXELS) {
      return record(product(), this::productBackward);
    }
    if (tape.arena().isDry()) {
      return record(shape(), dy -> Dry.backward(tape.arena(), x, weight, bias));
    }
    return record(convolution(), this::convolutionBackward);
  }

  private Var record(Tensor y, Tape.Backward backward) {
    return tape.record(
        "conv2d", y, x.needsGradient() || weight.isTrainable(), kept(x, weight), backward);
  }

  /** The gradient of x alone needs no x. */
  private static List<Tensor> kept(Var x, Parameter weight) {
    return weight.isTrainable() ? List.of(x.value()) : List.of();
  }

  private Tensor winograd() {
    Tensor y = new Winograd(shape).forward(tape.arena(), x.value(), weight.weight());
    if (bias != null) {
      Native.run("conv2d.bias", () -> y.handle().add_(bias.weight().handle()));
    }
    return y;
  }

  private void winogradBackward(Tensor dy) {
    Winograd winograd = new Winograd(shape);
    if (weight.isTrainable() && !Winograd.suitsGradient(shape)) {
      productWeightBackward(dy);
    } else if (weight.isTrainable()) {
      Tensor gradient = winograd.weightGradient(tape.arena(), x.value(), dy);
      Native.run("conv2d.dw", () -> weight.accumulate(gradient.handle()));
      gradient.release();
      BiasGradient.accumulate(tape.arena(), bias, dy);
    }
    if (x.needsGradient()) {
      x.accumulate(winograd.backward(tape.arena(), dy, weight.weight()));
    }
  }

  private Tensor product() {
    Tensor matrix = matrix();
    Tensor y =
        tape.arena()
            .compute(
                "conv2d.product",
                () ->
                    Products.forward(
                            matrix.handle(),
                            weightMatrix(),
                            bias == null ? null : bias.weight().handle())
                        .view(shape.outputShape()));
    matrix.release();
    return y;
  }

  private Tensor matrix() {
    return tape.arena().compute("conv2d.patches", () -> patches.of(x.handle()));
  }

  private org.bytedeco.pytorch.Tensor weightMatrix() {
    return weight.weight().handle().view(weight.shape()[0], -1);
  }

  private TensorOptional optionalBias() {
    return bias == null ? new TensorOptional() : new TensorOptional(bias.weight().handle());
  }

  private void productBackward(Tensor dy) {
    TwoGradients.run(
        tape.arena(),
        x.needsGradient(),
        () -> productDx(dy),
        weight.isTrainable(),
        () -> productWeightBackward(dy));
  }

  private void productDx(Tensor dy) {
    Arena arena = tape.arena();
    Tensor places =
        arena.compute(
            "conv2d.dpatches", () -> Products.backward(Matrices.rows(dy), weightMatrix()));
    x.accumulate(arena.compute("conv2d.dx", () -> patches.sums(places.handle())));
    places.release();
  }

  private void productWeightBackward(Tensor dy) {
    Tensor matrix = matrix();
    Native.run("conv2d.dw", () -> weight.accumulateProduct(Matrices.rows(dy).t(), matrix.handle()));
    matrix.release();
    BiasGradient.accumulate(tape.arena(), bias, dy);
  }

  private Tensor shape() {
    return tape.arena().compute("conv2d", () -> Dry.of(x.handle(), shape.outputShape()));
  }

  private Tensor convolution() {
    return tape.arena()
        .compute(
            "conv2d",
            () ->
                ChannelsLast.out(
                    torch.convolution(
                        ChannelsLast.in(x.handle()),
                        ChannelsLast.in(weight.weight().handle()),
                        optionalBias(),
                        strides,
                        paddings,
                        ONE,
                        false,
                        ZERO,
                        1)));
  }

  private void convolutionBackward(Tensor dy) {
    boolean train = weight.isTrainable();
    // Where only dx is wanted libtorch asks for the shape of x and reads nothing of it.
    Tensor input =
        train
            ? x.value().retain()
            : tape.arena().allocate("conv2d.shape", x.value().dtype(), x.value().shape());
    Native.run(
        "conv2d.backward",
        () -> {
          BoolPointer mask = new BoolPointer(3);
          mask.put(0, x.needsGradient()).put(1, train).put(2, train && bias != null);
          T_TensorTensorTensor_T all =
              torch.convolution_backward(
                  ChannelsLast.in(dy.handle()),
                  ChannelsLast.in(input.handle()),
                  ChannelsLast.in(weight.weight().handle()),
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
    input.release();
  }
}
