package dreambooth4j.engine.cudnn;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Conv2d;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.engine.op.OpCase;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;

/**
 * A convolution by {@link Convolutions} beside ATen's on the same device, both held against ATen's
 * on the CPU in F64: there and back twice, so that the gradients of the weight and of its bias
 * first take the place of what is in their slices, which is not a number, and then are added.
 */
public record ConvolutionCheck(Convolution shape) {
  private static final int ROUNDS = 2;

  /** For a GPU: Stable Diffusion's kinds of convolutions, and odd sizes. */
  public static List<ConvolutionCheck> all() {
    return Stream.of(DType.F32, DType.BF16, DType.F16)
        .flatMap(
            dtype ->
                Stream.of(
                    of(dtype, 2, 16, 16, 320, 320, 3, 1, 1),
                    of(dtype, 2, 17, 12, 64, 96, 3, 2, 1),
                    of(dtype, 1, 9, 7, 96, 64, 1, 1, 0),
                    of(dtype, 2, 16, 16, 4, 320, 3, 1, 1),
                    of(dtype, 2, 16, 16, 320, 4, 3, 1, 1),
                    of(dtype, 2, 7, 6, 5, 3, 3, 1, 1)))
        .toList();
  }

  /** With a square kernel; the sizes are {@link Convolution}'s. */
  static ConvolutionCheck of(
      DType dtype, int b, int h, int w, int in, int out, int k, int s, int p) {
    return new ConvolutionCheck(new Convolution(dtype, b, h, w, in, out, k, k, s, p));
  }

  /**
   * Runs it on CUDA.
   *
   * @throws IllegalStateException where cuDNN has no plan, which a run leaves to ATen; what it said
   *     of each algorithm is suppressed in it
   */
  public void onGpu() {
    OpBackend cuda = OpBackend.on(Device.CUDA);
    Convolutions cudnn = cuda.convolutions();
    try (Arena arena = Arena.open("plans", cuda)) {
      if (cudnn == null || !cudnn.take(arena, shape, true, true)) {
        throw cudnn == null
            ? new IllegalStateException("convolutions are ATen's: DREAMBOOTH4J_CUDNN is off")
            : cudnn.refusal(shape);
      }
    }
    hold(cuda);
  }

  /** Holds what a backend computes to the rule of the kernels; twice, for the same bits. */
  void hold(OpBackend backend) {
    try (Arena exact = Arena.open("exact");
        Arena plain = Arena.open("plain", backend.convolving(null));
        Arena ours = Arena.open("ours", backend);
        Arena again = Arena.open("again", backend)) {
      List<Tensor> right = results(exact, DType.F64);
      List<Tensor> atens = results(plain, shape.dtype());
      List<Tensor> mine = results(ours, shape.dtype());
      List<Tensor> once = results(again, shape.dtype());
      for (int i = 0; i < right.size(); i++) {
        // One rounding to the type itself: cuDNN rounds a sum that ATen adds to the gradient.
        Closeness.of(
                "result %d of y, dx, y, dx, dw, db".formatted(i),
                mine.get(i),
                atens.get(i),
                right.get(i))
            .holds(2, Closeness.rounding(shape.dtype()));
        org.bytedeco.pytorch.Tensor a = mine.get(i).handle();
        org.bytedeco.pytorch.Tensor b = once.get(i).handle();
        assertThat(Native.call("equal", () -> a.equal(b))).as("result %d again", i).isTrue();
      }
    }
  }

  /** y and dx of each round, then the gradients of weight and bias; fresh numbers of one seed. */
  private List<Tensor> results(Arena arena, DType in) {
    SplittableRandom random = new SplittableRandom(5);
    Parameters group = new Parameters(in);
    Parameter weight =
        group.declare("w", shape.out(), shape.in(), shape.kernelHeight(), shape.kernelWidth());
    Parameter bias = group.declare("b", shape.out());
    group.allocate(arena, true);
    weight.weight().copyFrom(drawn(arena, in, random, weight.shape()));
    bias.weight().copyFrom(drawn(arena, in, random, bias.shape()));
    Tensor gradients = group.gradients();
    Native.run("nan", () -> gradients.handle().fill_(new Scalar(Double.NaN)));
    group.zeroGradients();
    List<Tensor> results = new ArrayList<>();
    for (int i = 0; i < ROUNDS; i++) {
      try (Tape tape = Tape.recording(arena)) {
        Var x = tape.input(drawn(arena, in, random, shape.inputShape()));
        Var y = Conv2d.apply(tape, x, weight, bias, shape.stride(), shape.padding());
        results.add(y.value().retain());
        tape.backward(y, drawn(arena, in, random, y.value().shape()));
        Tensor dx = x.gradient();
        assertThat(dx).isNotNull();
        results.add(dx.retain());
      }
    }
    results.add(weight.gradient());
    results.add(bias.gradient());
    return results;
  }

  /** Numbers that the shape's type has. */
  private Tensor drawn(Arena arena, DType in, SplittableRandom random, long... sizes) {
    Tensor low = OpCase.random(arena, shape.dtype(), random, sizes);
    Tensor made = arena.allocate("drawn", in, sizes);
    made.copyFrom(low);
    low.release();
    return made;
  }
}
