package dreambooth4j.engine;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * One weight of a model: a slice of its {@link Parameters}' flat buffers. Convolution weights,
 * which files hold as [out, in, height, width], lie in memory as [out, height, width, in].
 */
public final class Parameter {
  private final Parameters group;
  private final String name;
  private final long[] fileShape;
  private final long offset;
  private @Nullable Tensor weight;
  private @Nullable Tensor master;
  private @Nullable Tensor average;
  private @Nullable Tensor replacement;
  private @Nullable Tensor gradient;
  private @Nullable Tensor arriving;
  private boolean trainable;

  /** Whether the slice still holds the last step's gradient: what comes first takes its place. */
  private boolean stale;

  /** Whether this backward has written to its gradient. */
  private boolean reached;

  /** Whether its gradient is on its way to other processes. */
  private boolean sent;

  Parameter(Parameters group, String name, long[] fileShape, long offset) {
    this.group = group;
    this.name = name;
    this.fileShape = fileShape;
    this.offset = offset;
  }

  /** Its name in a file, such as {@code conv_in.weight}. */
  public String name() {
    return name;
  }

  /** Its shape in a file; a copy. */
  public long[] fileShape() {
    return fileShape.clone();
  }

  /** Its shape in memory. */
  public long[] shape() {
    return fileShape.length == 4
        ? new long[] {fileShape[0], fileShape[2], fileShape[3], fileShape[1]}
        : fileShape.clone();
  }

  /** Whether {@link #shape} orders the elements otherwise than {@link #fileShape}. */
  public boolean isPermuted() {
    return fileShape.length == 4 && fileShape[1] > 1 && fileShape[2] * fileShape[3] > 1;
  }

  /** Number of elements. */
  public long count() {
    return Tensor.count(fileShape);
  }

  /** Where its slice begins, in elements of the flat buffer. */
  long offset() {
    return offset;
  }

  void bind(
      Tensor flatWeights, Tensor flatMasters, @Nullable Tensor flatGradients, boolean trains) {
    weight = slice(flatWeights, offset);
    master = flatMasters == flatWeights ? weight : slice(flatMasters, offset);
    gradient = flatGradients == null ? null : slice(flatGradients, offset);
    trainable = trains;
  }

  /** Lets go of its slice of frozen weights. */
  void unbind() {
    bound(weight).release();
    weight = null;
    master = null;
  }

  void keepAverage(Tensor flat) {
    average = slice(flat, offset);
  }

  private Tensor slice(Tensor flat, long from) {
    return flat.view(name, t -> t.narrow(0, from, count()).view(shape()));
  }

  /**
   * Computes with another tensor in the place of this weight from now on, without backward: what
   * trains and is saved stays as it is.
   *
   * @param other of {@link #shape} and the type that is computed in, held by the caller; null for
   *     the weight itself again
   */
  public void replace(@Nullable Tensor other) {
    replacement = other;
  }

  /** The weight that is computed with, of {@link #shape}. */
  public Tensor weight() {
    if (replacement != null) {
      return replacement;
    }
    group.wake();
    return group.usesSavedWeights() ? saved() : bound(weight);
  }

  /** The weight that is trained, of {@link #shape}: see {@link Parameters#masters}. */
  public Tensor master() {
    group.wake();
    return bound(master);
  }

  /** The weight that is saved, of {@link #shape}: see {@link Parameters#saved}. */
  public Tensor saved() {
    group.wake();
    return average == null ? bound(master) : average;
  }

  private Tensor bound(@Nullable Tensor bound) {
    if (bound == null) {
      throw new IllegalStateException(name + " was used before its parameters were allocated");
    }
    return bound;
  }

  /** No gradient gathers for it from now on, and optimizers made later leave it as it is. */
  public void freeze() {
    gradient = null;
    trainable = false;
  }

  /** Whether gradients gather for it. */
  public boolean isTrainable() {
    return trainable;
  }

  /**
   * Where its gradient gathers, of {@link #shape}, to be added to; throws where it is frozen. It
   * begins with zeros in each step.
   */
  public Tensor gradient() {
    Tensor slice = slot();
    if (stale) {
      slice.zero_();
      stale = false;
    }
    return slice;
  }

  /** Its gradient is complete, and nothing may be added until {@code now} is false. */
  void setSent(boolean now) {
    sent = now;
  }

  /** A backward begins whose gradients are sent as they are complete. */
  void expectGradient() {
    reached = false;
  }

  boolean isReached() {
    return reached;
  }

  /** Where its gradient gathers, whatever is there. */
  private Tensor slot() {
    if (sent) {
      throw new IllegalStateException(
          name + " is used by two ops: its gradient was sent after the first");
    }
    reached = true;
    if (!trainable) {
      throw new IllegalStateException(name + " is frozen");
    }
    Tensor bound = gradient;
    if (bound == null) {
      arriving = group.arriving(this);
      bound = slice(arriving, 0);
      gradient = bound;
    }
    return bound;
  }

  /** Hands over the gradient that has arrived: flat, the whole blocks of its slice. */
  Tensor takeGradient() {
    Tensor taken = arriving;
    Tensor view = gradient;
    if (taken == null || view == null) {
      throw new IllegalStateException("no gradient of " + name + " has arrived");
    }
    view.release();
    arriving = null;
    gradient = null;
    return taken;
  }

  /** From now on its gradient is zero; what is in the slice is written over, and not cleared. */
  void forgetGradient() {
    stale = gradient != null;
  }

  /** Adds {@code part}, made by libtorch in this call, to the gradient. */
  public void accumulate(org.bytedeco.pytorch.Tensor part) {
    org.bytedeco.pytorch.Tensor slice = slot().handle();
    if (stale) {
      slice.copy_(part);
      stale = false;
    } else {
      slice.add_(part);
    }
  }

  /**
   * Adds the product of two matrices [O, n] and [n, I] to the gradient of a weight [O, .., I],
   * straight into its slice.
   */
  public void accumulateProduct(
      org.bytedeco.pytorch.Tensor left, org.bytedeco.pytorch.Tensor right) {
    gather(slot().handle().view(left.size(0), right.size(1)), !stale, left, right);
    stale = false;
  }

  /**
   * As {@link #accumulateProduct(org.bytedeco.pytorch.Tensor, org.bytedeco.pytorch.Tensor)}, of
   * [ΣO, n] and [n, I], to those of weights that {@link #joined} joins and that train: at once
   * where their gradients lie one behind the other too.
   */
  public static void accumulateProduct(
      List<Parameter> parts, org.bytedeco.pytorch.Tensor left, org.bytedeco.pytorch.Tensor right) {
    Parameter first = parts.get(0);
    Tensor flat = first.group.gatheredGradients();
    if (flat != null
        && parts.stream().allMatch(each -> each.trainable && each.stale == first.stale)) {
      org.bytedeco.pytorch.Tensor slices =
          flat.handle()
              .narrow(0, first.offset, left.size(0) * right.size(1))
              .view(left.size(0), right.size(1));
      gather(slices, !first.stale, left, right);
      parts.forEach(each -> each.stale = false);
      return;
    }
    long from = 0;
    for (Parameter each : parts) {
      if (each.trainable) {
        each.accumulateProduct(left.narrow(0, from, each.fileShape[0]), right);
      }
      from += each.fileShape[0];
    }
  }

  private static void gather(
      org.bytedeco.pytorch.Tensor slice,
      boolean add,
      org.bytedeco.pytorch.Tensor left,
      org.bytedeco.pytorch.Tensor right) {
    if (add) {
      slice.addmm_(left, right);
    } else {
      torch.mm_out(slice, left, right);
    }
  }

  /** What writes a gradient straight into its slice. */
  @FunctionalInterface
  public interface Gather {
    /** Writes, or where {@code add} adds, to a slice of {@link #shape}. */
    void into(Tensor slice, boolean add);
  }

  /** Has {@code part} add to the gradient, straight in its slice. */
  public void accumulateBy(Gather part) {
    part.into(slot(), !stale);
    stale = false;
  }

  /** What writes two gradients at once straight into their slices. */
  @FunctionalInterface
  public interface GatherBoth {
    /** Writes, or where {@code add} adds, to two slices, each of its {@link #shape}. */
    void into(Tensor first, Tensor second, boolean add);
  }

  /** Has {@code part} add to the gradients of two weights, straight in their slices. */
  public static void accumulateBy(Parameter first, Parameter second, GatherBoth part) {
    Tensor a = first.slot();
    Tensor b = second.slot();
    boolean add = !first.stale || !second.stale;
    if (add) { // one of both is used by another op too, and has its gradient already
      first.gradient();
      second.gradient();
    }
    part.into(a, b, add);
    first.stale = false;
    second.stale = false;
  }

  /**
   * Weights [O, I] that lie one behind the other as one, [ΣO, I]: a view, which the caller
   * releases; null where they do not.
   */
  public static @Nullable Tensor joined(List<Parameter> parts) {
    Parameter first = parts.get(0);
    long end = first.offset;
    for (Parameter each : parts) {
      boolean fits =
          each.fileShape.length == 2
              && each.fileShape[1] == first.fileShape[1]
              && each.group == first.group
              && each.replacement == null
              && each.offset == end;
      if (!fits) {
        return null;
      }
      end += each.count();
    }
    long count = end - first.offset;
    Tensor flat = first.group.usesSavedWeights() ? first.group.saved() : first.group.weights();
    return flat.view(
        first.name, t -> t.narrow(0, first.offset, count).view(-1, first.fileShape[1]));
  }

  /** Copies a tensor of the file's shape, any type, into the {@link #master}. */
  public void read(Tensor fromFile) {
    fromFileOrder(fromFile, master());
  }

  /** Multiplies the {@link #master} with a number. */
  public void multiply(double factor) {
    Native.run(name, () -> master().handle().mul_(new Scalar(factor)));
  }

  /** The weight, or a tensor beside it such as its gradient, in the file's order: a new tensor. */
  public Tensor toFileOrder(Arena arena, Tensor inMemory) {
    return arena.compute(name, () -> asInFile(inMemory).contiguous().clone());
  }

  /**
   * Copies a tensor of the file's shape, any type, into one of {@link #shape} beside the weight.
   */
  public void fromFileOrder(Tensor fromFile, Tensor inMemory) {
    Native.run(name, () -> asInFile(inMemory).copy_(fromFile.handle()));
  }

  private org.bytedeco.pytorch.Tensor asInFile(Tensor inMemory) {
    return fileShape.length == 4 ? inMemory.handle().permute(0, 3, 1, 2) : inMemory.handle();
  }

  @Override
  public String toString() {
    return name + Arrays.toString(fileShape);
  }
}
