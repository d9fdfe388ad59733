package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.bytedeco.pytorch.global.torch;

/**
 * How close a result is to F64's, and the one rule for it: the error is at most twice that of the
 * plain op in the same type, or one rounding to F32 if that is more. Whoever asks for less says why
 * beside it.
 *
 * @param what the tensor, for the message
 * @param ours relative error of what is tested
 * @param plain relative error of libtorch's op in the same type
 */
public record Closeness(String what, double ours, double plain) {
  /** Of two results against F64's. */
  public static Closeness of(String what, Tensor ours, Tensor plain, Tensor exact) {
    return new Closeness(what, relativeError(ours, exact), relativeError(plain, exact));
  }

  /** As {@link #of(String, Tensor, Tensor, Tensor)}, of handles, inside a native call. */
  public static Closeness of(
      String what,
      org.bytedeco.pytorch.Tensor ours,
      org.bytedeco.pytorch.Tensor plain,
      org.bytedeco.pytorch.Tensor exact) {
    return new Closeness(what, relativeError(ours, exact), relativeError(plain, exact));
  }

  /** Of several draws of the same: the root of each error's mean square. */
  public static Closeness over(List<Closeness> draws) {
    return new Closeness(
        draws.get(0).what,
        Math.sqrt(
            draws.stream().mapToDouble(each -> each.ours * each.ours).average().orElseThrow()),
        Math.sqrt(
            draws.stream().mapToDouble(each -> each.plain * each.plain).average().orElseThrow()));
  }

  /** Fails where the rule does not hold. */
  public void holds() {
    holds(2, rounding(DType.F32));
  }

  /** As {@link #holds()}, with so many times the plain error, or {@code least} if that is more. */
  public void holds(double times, double least) {
    assertThat(ours)
        .as("error of %s; the plain op's is %g", what, plain)
        .isLessThanOrEqualTo(Math.max(times * plain, least));
  }

  /** The most that rounding to a type changes a number, relatively. */
  public static double rounding(DType dtype) {
    return switch (dtype) {
      case BF16 -> 0x1p-8;
      case F16 -> 0x1p-11;
      case F64 -> 0x1p-53;
      default -> 0x1p-24;
    };
  }

  /** ‖a − exact‖ / ‖exact‖; NaN where a number was never written. */
  public static double relativeError(Tensor a, Tensor exact) {
    return Native.call("relative error", () -> relativeError(a.handle(), exact.handle()));
  }

  /** As {@link #relativeError(Tensor, Tensor)}, of handles on any device, in a native call. */
  public static double relativeError(
      org.bytedeco.pytorch.Tensor a, org.bytedeco.pytorch.Tensor exact) {
    var truth = exact.detach().cpu().to(torch.ScalarType.Double).reshape(-1);
    double norm = truth.norm().item().toDouble();
    double error =
        a.detach()
            .cpu()
            .to(torch.ScalarType.Double)
            .reshape(-1)
            .sub(truth)
            .norm()
            .item()
            .toDouble();
    return norm == 0 ? error : error / norm;
  }
}
