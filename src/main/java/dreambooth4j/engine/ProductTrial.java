package dreambooth4j.engine;

import java.util.Locale;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;

/**
 * How fast a thread of this process multiplies matrices: the three products of a linear layer, y =
 * x Wᵀ, dx = dy W and dW = dyᵀ x, at the sizes that they have in Stable Diffusion at 256 px. Takes
 * half a second. The launcher runs it once for each library that it could take.
 */
public final class ProductTrial {
  /** Rows of x, its columns, columns of y. */
  private static final long[][] SIZES = {{2048, 320, 1280}, {512, 640, 2560}, {128, 1280, 5120}};

  /** The first of which finds all caches cold. */
  private static final int PASSES = 3;

  private ProductTrial() {}

  /** Prints the speed in float32, in GFLOP/s, as a whole number. */
  public static void main(String[] args) {
    System.out.printf(Locale.ROOT, "%.0f%n", gigaflops(DType.F32));
  }

  /** The speed in a type, in GFLOP/s of processor time: of the best of some passes. */
  public static double gigaflops(DType dtype) {
    return Native.call(
        "product trial",
        () -> {
          double least = Double.POSITIVE_INFINITY;
          Tensor[][] factors = factors(dtype);
          for (int pass = 0; pass < PASSES; pass++) {
            double seconds = Threads.processorSeconds(() -> multiply(factors));
            least = pass == 0 ? least : Math.min(least, seconds);
          }
          return operations() / least / 1e9;
        });
  }

  private static void multiply(Tensor[][] factors) {
    for (Tensor[] each : factors) {
      torch.linear(each[0], each[1]);
      each[2].matmul(each[1]);
      each[2].t().matmul(each[0]);
    }
  }

  private static Tensor[][] factors(DType dtype) {
    TensorOptions options = Native.options(dtype, Device.CPU.type());
    Tensor[][] factors = new Tensor[SIZES.length][];
    for (int i = 0; i < SIZES.length; i++) {
      long[] size = SIZES[i];
      factors[i] =
          new Tensor[] {
            torch.ones(new long[] {size[0], size[1]}, options),
            torch.ones(new long[] {size[2], size[1]}, options),
            torch.ones(new long[] {size[0], size[2]}, options)
          };
    }
    return factors;
  }

  private static double operations() {
    double all = 0;
    for (long[] size : SIZES) {
      all += 3 * 2.0 * size[0] * size[1] * size[2];
    }
    return all;
  }
}
