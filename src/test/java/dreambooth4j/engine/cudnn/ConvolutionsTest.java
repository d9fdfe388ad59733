package dreambooth4j.engine.cudnn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.cudnn.Convolution.Direction;
import dreambooth4j.engine.kernel.Autotuner;
import dreambooth4j.engine.op.Conv2d;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.engine.op.OpCase;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Plans, workspaces and slices, with libtorch on the CPU in the place of cuDNN. */
class ConvolutionsTest {
  @TempDir Path folder;

  /** Convolutions by libtorch, in the way that cuDNN is asked for them. */
  private static class StandIn implements ConvolutionLibrary {
    final List<String> ran = new ArrayList<>();
    final @Nullable Direction refused;
    private final List<Integer> algorithms;

    StandIn(@Nullable Direction refused, Integer... algorithms) {
      this.refused = refused;
      this.algorithms = List.of(algorithms);
    }

    @Override
    public List<Integer> algorithms(Direction direction) {
      return algorithms;
    }

    /** 0 is not for any shape, 1 wants too much, 2 and 3, which fails, want 64 bytes. */
    @Override
    public long workspaceBytes(Convolution shape, Direction direction, int algorithm) {
      if (algorithm == 0 || direction == refused) {
        throw new IllegalStateException("not supported");
      }
      return algorithm == 1 ? ConvolutionLibrary.WORKSPACE_BYTES + 1 : 64;
    }

    @Override
    public void run(
        Convolution shape,
        Direction direction,
        int algorithm,
        Tensor first,
        Tensor second,
        Tensor result,
        boolean add,
        @Nullable Tensor workspace) {
      if (algorithm == 3) {
        throw new IllegalStateException("not supported after all");
      }
      assertThat(workspace).isNotNull();
      assertThat(workspace.count()).isEqualTo(64);
      ran.add(direction + " " + algorithm + (add ? " adds" : ""));
      Native.run(
          "stand-in",
          () -> {
            org.bytedeco.pytorch.Tensor out = computed(shape, direction, first, second);
            org.bytedeco.pytorch.Tensor nhwc = out.permute(0, 2, 3, 1);
            if (add) {
              result.handle().add_(nhwc);
            } else {
              result.handle().copy_(nhwc);
            }
          });
    }

    private static org.bytedeco.pytorch.Tensor computed(
        Convolution shape, Direction direction, Tensor first, Tensor second) {
      long[] strides = {shape.stride(), shape.stride()};
      long[] paddings = {shape.padding(), shape.padding()};
      long[] one = {1, 1};
      long[] zero = {0, 0};
      org.bytedeco.pytorch.Tensor a = first.handle().permute(0, 3, 1, 2);
      org.bytedeco.pytorch.Tensor b = second.handle().permute(0, 3, 1, 2);
      if (direction == Direction.FORWARD) {
        return torch.convolution(
            a, b, new TensorOptional(), strides, paddings, one, false, zero, 1);
      }
      boolean data = direction == Direction.DATA;
      BoolPointer mask = new BoolPointer(3);
      mask.put(0, data).put(1, !data).put(2, false);
      org.bytedeco.pytorch.Tensor like =
          torch.zeros(data ? shape.inputShape() : shape.filterShape()).permute(0, 3, 1, 2);
      T_TensorTensorTensor_T all =
          torch.convolution_backward(
              data ? a : b,
              data ? like : a,
              data ? b : like,
              new long[] {shape.out()},
              strides,
              paddings,
              one,
              false,
              zero,
              1,
              mask);
      return data ? all.get0() : all.get1();
    }
  }

  private OpBackend by(ConvolutionLibrary library) {
    return OpBackend.on(Device.CPU).convolving(convolutions(library));
  }

  private Convolutions convolutions(ConvolutionLibrary library) {
    return new Convolutions(library, autotuner(), Device.CPU);
  }

  private Autotuner autotuner() {
    return new Autotuner(folder, "convolution", "a machine");
  }

  /**
   * y, dx, dw and db after two ways back, with the gradients set to zero before the second or not.
   */
  private static List<float[]> trained(
      Arena arena, long[] images, long[] filter, int stride, int padding, boolean anew) {
    SplittableRandom random = new SplittableRandom(5);
    Parameters group = new Parameters(DType.F32);
    Parameter weight = group.declare("w", filter);
    Parameter bias = group.declare("b", filter[0]);
    group.allocate(arena, true);
    weight.weight().copyFrom(OpCase.random(arena, DType.F32, random, weight.shape()));
    bias.weight().copyFrom(OpCase.random(arena, DType.F32, random, bias.shape()));
    List<float[]> results = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      if (anew) {
        group.zeroGradients();
      }
      try (Tape tape = Tape.recording(arena)) {
        Var x = tape.input(OpCase.random(arena, DType.F32, random, images));
        Var y = Conv2d.apply(tape, x, weight, bias, stride, padding);
        tape.backward(y, OpCase.random(arena, DType.F32, random, y.value().shape()));
        results.add(y.value().toFloats());
        Tensor dx = x.gradient();
        assertThat(dx).isNotNull();
        results.add(dx.toFloats());
      }
    }
    results.add(weight.gradient().toFloats());
    results.add(bias.gradient().toFloats());
    return results;
  }

  @ParameterizedTest
  @CsvSource({"1,1,false", "2,1,true", "1,0,true"})
  void shouldTrainAsAtenDoes(int stride, int padding, boolean anew) {
    long[] images = {2, 7, 6, 5};
    long[] filter = {4, 5, 3, 3};
    StandIn library = new StandIn(null, 0, 1, 2);
    try (Arena ours = Arena.open("ours", by(library));
        Arena theirs = Arena.open("theirs")) {
      List<float[]> a = trained(ours, images, filter, stride, padding, anew);
      List<float[]> b = trained(theirs, images, filter, stride, padding, anew);
      for (int i = 0; i < b.size(); i++) {
        assertThat(a.get(i)).as("result %d", i).containsExactly(b.get(i), within(1e-4f));
      }
      String later = anew ? "FILTER 2" : "FILTER 2 adds";
      assertThat(library.ran)
          .as("each tried once, then used")
          .startsWith("FORWARD 2", "DATA 2", "FILTER 2")
          .endsWith("FORWARD 2", later, "DATA 2", "FORWARD 2", later, "DATA 2")
          .hasSize(9);
    }
  }

  /** Of the ways back one cannot be computed: all of it is ATen's, but inference is not. */
  @Test
  void shouldLeaveToAtenWhatHasNoPlan() {
    StandIn library = new StandIn(Direction.DATA, 0, 1, 2);
    long[] images = {2, 7, 6, 5};
    Convolutions convolutions = convolutions(library);
    try (Arena arena = Arena.open("test", OpBackend.on(Device.CPU).convolving(convolutions))) {
      trained(arena, images, new long[] {4, 5, 3, 3}, 1, 1, false);
      assertThat(library.ran).as("tried, and not used").containsExactly("FORWARD 2");
      Convolution shape = new Convolution(DType.F32, 2, 7, 6, 5, 4, 3, 3, 1, 1);
      assertThat(convolutions.take(arena, shape, false, true)).isTrue();
      assertThat(convolutions.take(arena, shape, true, true)).isFalse();
    }
  }

  @Test
  void shouldPassOverAnAlgorithmThatFailsWhenItRuns() {
    Convolution shape = new Convolution(DType.F32, 2, 7, 6, 5, 4, 3, 3, 1, 1);
    try (Arena arena = Arena.open("test")) {
      assertThat(convolutions(new StandIn(null, 3, 2)).take(arena, shape, true, true)).isTrue();
      assertThat(convolutions(new StandIn(null, 3)).take(arena, shape, true, true)).isFalse();
    }
  }

  /** What a GPU's convolutions are held to; one gradient off by a hundredth does not pass. */
  @Test
  void shouldHoldTheChecksOfAGpu() {
    ConvolutionCheck check = ConvolutionCheck.of(DType.F32, 2, 7, 6, 5, 3, 3, 2, 1);
    check.hold(by(new StandIn(null, 2)));
    StandIn off =
        new StandIn(null, 2) {
          @Override
          public void run(
              Convolution shape,
              Direction direction,
              int algorithm,
              Tensor first,
              Tensor second,
              Tensor result,
              boolean add,
              @Nullable Tensor workspace) {
            super.run(shape, direction, algorithm, first, second, result, add, workspace);
            if (direction == Direction.FILTER) {
              Native.run("off", () -> result.handle().mul_(new Scalar(1.01)));
            }
          }
        };
    assertThatThrownBy(() -> check.hold(by(off)))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("result 4");
  }

  /** So a check on a GPU tells what cuDNN does not have from what went wrong. */
  @Test
  void shouldSayWhyThereIsNoPlan() {
    Convolution shape = new Convolution(DType.F32, 2, 7, 6, 5, 4, 3, 3, 1, 1);
    try (Arena arena = Arena.open("test")) {
      Convolutions none = convolutions(new StandIn(null, 0, 1, 3));
      assertThat(none.take(arena, shape, true, true)).isFalse();
      assertThat(none.refusal(shape).getSuppressed())
          .extracting(Throwable::getMessage)
          .containsExactly(
              "not supported",
              "not supported: a workspace of 268435457 bytes",
              "not supported after all");
    }
  }

  @Test
  void shouldKnowItsShapesAndWhatAPlanIsRememberedBy() {
    Convolution shape = new Convolution(DType.BF16, 2, 65, 48, 320, 640, 3, 3, 2, 1);
    assertThat(shape.outputShape()).containsExactly(2, 33, 24, 640);
    assertThat(shape.key(Direction.FILTER))
        .isEqualTo("FILTER BF16 x[2,65,48,320] w[640,3,3,320] stride 2 padding 1");
  }

  @Test
  void shouldRememberPlansWithRoundedFactorsApart() {
    Convolution full = new Convolution(DType.F32, 2, 7, 6, 5, 4, 3, 3, 1, 1);
    Convolution half = new Convolution(DType.BF16, 2, 7, 6, 5, 4, 3, 3, 1, 1);
    Platform.allowTf32(false);
    String before = full.key(Direction.DATA);
    String ofHalf = half.key(Direction.DATA);
    Platform.allowTf32(true);
    try {
      assertThat(full.key(Direction.DATA)).isEqualTo(before.replace("F32", "TF32"));
      assertThat(before).startsWith("DATA F32 x[");
      assertThat(half.key(Direction.DATA)).isEqualTo(ofHalf);
    } finally {
      Platform.allowTf32(false);
    }
  }

  /** So a plan counts the workspace of a call at its most, and makes what cuDNN would write to. */
  @Test
  void shouldBeCudnnInADryTreeOfCuda() {
    try (Arena arena = Arena.open("plan", OpBackend.dry(Device.CUDA))) {
      Parameters group = new Parameters(DType.BF16);
      Parameter weight = group.declare("w", 4, 5, 3, 3);
      group.allocate(arena, false);
      Tensor x = arena.allocate("x", DType.BF16, 2, 7, 6, 5);
      long before = arena.meter().liveBytes();
      try (Tape tape = Tape.inference(arena)) {
        Tensor y = Conv2d.apply(tape, tape.constant(x), weight, null, 1, 1).value();
        assertThat(y.shape()).containsExactly(2, 7, 6, 4);
        assertThat(arena.meter().peakBytes() - before)
            .isEqualTo(ConvolutionLibrary.WORKSPACE_BYTES + y.ownedBytes());
      }
    }
  }

  @Test
  void shouldBeAtenOnTheCpu() {
    assertThat(OpBackend.on(Device.CPU).convolutions()).isNull();
    assertThat(OpBackend.dry(Device.CPU).convolutions()).isNull();
  }
}
