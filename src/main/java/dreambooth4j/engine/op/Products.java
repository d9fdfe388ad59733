package dreambooth4j.engine.op;

import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Threads;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Products of rows with a weight [O, I], for calls inside a native one. In F32 on processors with
 * AVX-512 oneDNN multiplies faster than OpenBLAS, by a twentieth where there are many rows and by
 * more than half where there are few (bench/LOG.md); everything else is libtorch's choice. Which it
 * is depends on the machine, shape and type alone.
 */
public final class Products {
  /** Below so many rows a product only reads the weight, which oneDNN first copies. */
  private static final long ROWS = 32;

  /** Up to so many rows the weight is better the factor that is read as it lies. */
  private static final long FEW_ROWS = 64;

  /** Below so many weights a call's own time is what counts. */
  private static final long WEIGHTS = 1 << 16;

  private Products() {}

  /** What multiplies F32 on this machine's CPU: which of them it is decides how products round. */
  public static String inFloat32() {
    return OneDnn.IS_FASTER
        ? "by oneDNN from %d rows and %d weights on".formatted(ROWS, WEIGHTS)
        : "by the library alone";
  }

  /** x Wᵀ + b: [R, O] of x [R, I]; the bias [O] may be missing. */
  static Tensor forward(Tensor x, Tensor weight, @Nullable Tensor bias) {
    if (!suits(x, weight)) {
      return torch.linear(
          x, weight, bias == null ? new TensorOptional() : new TensorOptional(bias));
    }
    if (x.size(0) > FEW_ROWS) {
      return oneDnn(x, weight, bias);
    }
    Tensor y = oneDnn(weight, x, null).t();
    return bias == null ? y.contiguous() : y.add(bias).contiguous();
  }

  /** dy W: [R, I] of dy [R, O]. */
  static Tensor backward(Tensor dy, Tensor weight) {
    return suits(dy, weight) ? oneDnn(dy, weight.t(), null) : dy.mm(weight);
  }

  /**
   * Whether {@link #backward} of rows dy [.., O] and a weight is oneDNN's; in a dry arena, whether
   * it would be, for the plan has to count what that makes.
   */
  static boolean isOneDnn(dreambooth4j.engine.Tensor dy, dreambooth4j.engine.Tensor weight) {
    return dy.arena().device() == Device.CPU
        && dy.dtype() == DType.F32
        && suits(dy.count() / dy.size(-1), weight.count());
  }

  private static boolean suits(Tensor rows, Tensor weight) {
    return rows.is_cpu()
        && rows.scalar_type().value == torch.ScalarType.Float.value
        && suits(rows.size(0), weight.numel());
  }

  private static boolean suits(long rows, long weights) {
    return rows >= ROWS && weights >= WEIGHTS && OneDnn.IS_FASTER;
  }

  private static Tensor oneDnn(Tensor x, Tensor weight, @Nullable Tensor bias) {
    return Boxed.call(OneDnn.LINEAR, x, weight, bias, "none", Boxed.EMPTY_LIST, "")[0];
  }

  /** Looked up once. */
  private static final class OneDnn {
    static final String LINEAR = "mkldnn::_linear_pointwise";

    static final boolean IS_FASTER =
        Native.call("processor", () -> torch.get_cpu_capability().getString()).equals("AVX512")
            && Threads.hasOpenBlas();
  }
}
