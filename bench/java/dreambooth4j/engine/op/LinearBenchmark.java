package dreambooth4j.engine.op;

import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Which library does the three products of a linear layer soonest: y = x Wᵀ, dx = dy W, dW += dyᵀ
 * x. BLAS is libtorch's OpenBLAS, convolution is oneDNN's, of 1×1 channels-last.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 4, time = 300, timeUnit = TimeUnit.MILLISECONDS)
public class LinearBenchmark {
  /** What computes. */
  @Param({"blas", "convolution"})
  public String engine;

  /** Rows of x, its columns, columns of y. */
  @Param({"2048x320x320", "2048x320x2560", "2048x1280x320", "128x1280x10240", "154x768x1280"})
  public String sizes;

  private PointerScope scope;
  private InferenceMode mode;
  private boolean blas;
  private Tensor x;
  private Tensor w;
  private Tensor dy;
  private Tensor dw;
  private static final long[] ONE = {1, 1};
  private static final long[] ZERO = {0, 0};

  /** Fills the matrices. */
  @Setup
  public void open() {
    blas = engine.equals("blas");
    String[] parts = sizes.split("x");
    long m = Long.parseLong(parts[0]);
    long in = Long.parseLong(parts[1]);
    long out = Long.parseLong(parts[2]);
    scope = new PointerScope();
    mode = new InferenceMode(true);
    x = torch.randn(m, in);
    w = torch.randn(out, in);
    dy = torch.randn(m, out);
    dw = torch.zeros(out, in);
  }

  /** Frees them. */
  @TearDown
  public void close() {
    mode.close();
    scope.close();
  }

  private static Tensor image(Tensor matrix) {
    return matrix.view(1, matrix.size(0), 1, matrix.size(1)).permute(0, 3, 1, 2);
  }

  private static Tensor kernel(Tensor matrix) {
    return matrix.view(matrix.size(0), 1, 1, matrix.size(1)).permute(0, 3, 1, 2);
  }

  /** y. */
  @Benchmark
  public long forward() {
    try (PointerScope inner = new PointerScope()) {
      Tensor y =
          blas
              ? torch.linear(x, w)
              : torch.convolution(
                  image(x), kernel(w), new TensorOptional(), ONE, ZERO, ONE, false, ZERO, 1);
      return y.numel();
    }
  }

  /** dx. */
  @Benchmark
  public long inputGradient() {
    try (PointerScope inner = new PointerScope()) {
      return blas ? dy.matmul(w).numel() : backward(true).get0().numel();
    }
  }

  /** dW, added to what is there. */
  @Benchmark
  public long weightGradient() {
    try (PointerScope inner = new PointerScope()) {
      if (blas) {
        dw.addmm_(dy.t(), x);
      } else {
        dw.add_(backward(false).get1().permute(0, 2, 3, 1).view(dw.size(0), dw.size(1)));
      }
      return dw.numel();
    }
  }

  private T_TensorTensorTensor_T backward(boolean input) {
    BoolPointer mask = new BoolPointer(3);
    mask.put(0, input).put(1, !input).put(2, false);
    return torch.convolution_backward(
        image(dy), image(x), kernel(w), new long[] {0}, ONE, ZERO, ONE, false, ZERO, 1, mask);
  }
}
