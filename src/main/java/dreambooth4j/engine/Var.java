package dreambooth4j.engine;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A value on a {@link Tape}: a tensor, and in a backward walk the gradient that gathers for it. */
public final class Var {
  private final Tape tape;
  private final Tensor value;
  private final boolean needsGradient;
  private @Nullable Tensor gradient;

  Var(Tape tape, Tensor value, boolean needsGradient) {
    this.tape = tape;
    this.value = value;
    this.needsGradient = needsGradient;
  }

  /** The value; its shape is the op's. */
  public Tensor value() {
    return value;
  }

  /** libtorch's handle of the value: for ops alone. */
  public org.bytedeco.pytorch.Tensor handle() {
    return value.handle();
  }

  /** Size of axis {@code i} of the value; negative counts from the last. */
  public long size(int i) {
    return value.size(i);
  }

  /** Whether a backward walk must reach it. */
  public boolean needsGradient() {
    return needsGradient;
  }

  /** The gradient so far; null where none has come. Inputs keep theirs until the tape closes. */
  public @Nullable Tensor gradient() {
    return gradient;
  }

  /**
   * Adds {@code part} to the gradient and takes it over: the caller no longer holds it. Does
   * nothing but release it where no gradient is needed.
   */
  public void accumulate(Tensor part) {
    if (!needsGradient) {
      part.release();
      return;
    }
    if (part.count() != value.count()) {
      throw new IllegalArgumentException("gradient " + part + " for a value " + value);
    }
    Tensor sum = gradient;
    if (sum == null) {
      gradient = part;
    } else if (sum.isExclusive()) {
      Native.run("accumulate", () -> sum.handle().add_(part.handle()));
      part.release();
    } else {
      gradient = tape.arena().compute("accumulate", () -> sum.handle().add(part.handle()));
      sum.release();
      part.release();
    }
  }

  /**
   * Adds the product of two matrices [n, k] and [k, m], as many elements as the value, to the
   * gradient: in its place where it has one that nobody else sees. Does nothing where no gradient
   * is needed.
   *
   * @param left made inside a native call, as is {@code right}
   */
  public void accumulateProduct(
      String op,
      Supplier<org.bytedeco.pytorch.Tensor> left,
      Supplier<org.bytedeco.pytorch.Tensor> right) {
    if (!needsGradient) {
      return;
    }
    Tensor sum = gradient;
    if (sum == null || !sum.isExclusive()) {
      accumulate(tape.arena().compute(op, () -> left.get().mm(right.get()).view(value.shape())));
      return;
    }
    Native.run(
        op,
        () -> {
          org.bytedeco.pytorch.Tensor factor = right.get();
          sum.handle().view(-1, factor.size(1)).addmm_(left.get(), factor);
        });
  }

  /**
   * Hands the gradient so far over to the caller; null where none has come. For the walk, and for
   * an op whose backward adds it to what it accumulates in its place.
   */
  public @Nullable Tensor takeGradient() {
    Tensor taken = gradient;
    gradient = null;
    return taken;
  }
}
