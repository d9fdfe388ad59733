package dreambooth4j.engine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * A block of numbers, contiguous in the order of its shape, that an {@link Arena} owns. It counts
 * who holds it: its maker is the first holder; when the last one lets go, the memory is free. A
 * view holds the tensor whose bytes it shares.
 */
public final class Tensor {
  /** What is looked at or copied at once. */
  private static final long PIECE_BYTES = 64 << 20;

  private final org.bytedeco.pytorch.Tensor handle;
  private final Arena arena;
  private final @Nullable Tensor base;
  private final long[] shape;
  private final DType dtype;
  private int holders = 1;

  /** Where the arena keeps it in its list. */
  int position;

  /** The part of the work that it was made in. */
  String part = "";

  Tensor(
      Arena arena,
      org.bytedeco.pytorch.Tensor handle,
      @Nullable Tensor base,
      long[] shape,
      DType dtype) {
    this.arena = arena;
    this.handle = handle;
    this.base = base;
    this.shape = shape;
    this.dtype = dtype;
  }

  /** libtorch's handle: for the engine and its ops alone, and valid while this is held. */
  public org.bytedeco.pytorch.Tensor handle() {
    if (holders == 0) {
      throw new IllegalStateException("a tensor " + this + " was used after it was released");
    }
    return handle;
  }

  /** Sizes, outermost first; a copy. */
  public long[] shape() {
    return shape.clone();
  }

  /** Size of axis {@code i}; negative counts from the last. */
  public long size(int i) {
    return shape[i < 0 ? shape.length + i : i];
  }

  /** Number of axes. */
  public int rank() {
    return shape.length;
  }

  /** Whether it has just this shape. */
  public boolean hasShape(long... expected) {
    return Arrays.equals(shape, expected);
  }

  /** Element type. */
  public DType dtype() {
    return dtype;
  }

  /** Number of elements. */
  public long count() {
    return count(shape);
  }

  /** Number of elements of a shape. */
  public static long count(long... shape) {
    long n = 1;
    for (long s : shape) {
      n = Math.multiplyExact(n, s);
    }
    return n;
  }

  /** Bytes that it owns; a view owns none. */
  public long ownedBytes() {
    return base == null ? count() * dtype.bytes() : 0;
  }

  /** The arena that owns it. */
  public Arena arena() {
    return arena;
  }

  /** One more holder. */
  public Tensor retain() {
    synchronized (arena.meter()) {
      if (holders == 0) {
        throw new IllegalStateException("a tensor " + this + " was retained after it was released");
      }
      holders++;
      return this;
    }
  }

  /** One holder less; the last one frees the memory. */
  public void release() {
    synchronized (arena.meter()) {
      if (holders == 0) {
        throw new IllegalStateException("a tensor " + this + " was released twice");
      }
      if (--holders > 0) {
        return;
      }
      arena.forget(this);
    }
    handle.releaseReference();
    if (base != null) {
      base.release();
    }
  }

  /** Closes it whoever holds it: the arena's way out. */
  void drop() {
    holders = 0;
    handle.releaseReference();
  }

  /** Whether nobody else can see these bytes, so that they may be overwritten. */
  boolean isExclusive() {
    return holders == 1 && (base == null || base.isExclusive());
  }

  /** The same bytes under another shape, in the same arena; its maker is its first holder. */
  public Tensor reshaped(long... newShape) {
    return view("reshape", t -> t.view(newShape));
  }

  /**
   * {@code length} of the outermost axis from {@code start} on, in the same arena: shares the
   * bytes.
   */
  public Tensor rows(long start, long length) {
    return view("rows", t -> t.narrow(0, start, length));
  }

  /** Tensors joined along the outermost axis, in {@code arena}; the caller holds the result. */
  public static Tensor stack(Arena arena, List<Tensor> parts) {
    return arena.compute(
        "stack",
        () -> {
          TensorVector all = new TensorVector();
          for (Tensor each : parts) {
            all.push_back(each.handle());
          }
          return torch.cat(all, 0);
        });
  }

  /** A view made by libtorch. */
  Tensor view(String op, UnaryOperator<org.bytedeco.pytorch.Tensor> body) {
    retain();
    return arena.take(op, this, () -> body.apply(handle()));
  }

  /** Takes bytes of a tensor, in native byte order, that begin so far from its own beginning. */
  @FunctionalInterface
  public interface Bytes<E extends Exception> {
    /** Reads or fills all of them. */
    void accept(ByteBuffer bytes, long offset) throws E;
  }

  /** Hands all bytes to {@code reader}, piece by piece; those of a device by way of a copy. */
  public <E extends Exception> void readBytes(Bytes<E> reader) throws E {
    pieces(reader, true);
  }

  /** Has {@code writer} fill all bytes, piece by piece; those of a device by way of a copy. */
  public <E extends Exception> void writeBytes(Bytes<E> writer) throws E {
    pieces(writer, false);
  }

  private <E extends Exception> void pieces(Bytes<E> user, boolean reads) throws E {
    long most = PIECE_BYTES / dtype.bytes();
    for (long from = 0; from < count(); from += most) {
      long length = Math.min(most, count() - from);
      if (arena.isOnHost()) {
        user.accept(
            bytes(from * dtype.bytes(), (int) length * dtype.bytes()), from * dtype.bytes());
      } else {
        staged(user, reads, from, length);
      }
    }
  }

  private <E extends Exception> void staged(Bytes<E> user, boolean reads, long from, long length)
      throws E {
    long first = from;
    Tensor part = view("part", t -> t.view(-1).narrow(0, first, length));
    try (Arena host = arena.onHost()) {
      Tensor copy = host.allocate("on the host", dtype, length);
      if (reads) {
        copy.copyFrom(part);
      }
      user.accept(copy.bytes(0, (int) length * dtype.bytes()), from * dtype.bytes());
      if (!reads) {
        part.copyFrom(copy);
      }
    } finally {
      part.release();
    }
  }

  /**
   * A window on its bytes, in native byte order: {@code length} bytes, at most 2 GiB, from {@code
   * offset} on. Valid while this is held. In CPU memory only; {@link #readBytes} is for all.
   */
  public ByteBuffer bytes(long offset, int length) {
    if (offset < 0 || length < 0 || offset + length > count() * dtype.bytes()) {
      throw new IndexOutOfBoundsException("offset=" + offset + " length=" + length + " of " + this);
    }
    if (!arena.isOnHost()) {
      throw new IllegalStateException(this + " lies on a device: its bytes can only be copied");
    }
    if (length == 0 || arena.isDry()) {
      return ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
    }
    return Native.call(
        "bytes",
        () ->
            new BytePointer(handle().data_ptr())
                .getPointer(offset)
                .capacity(length)
                .asByteBuffer()
                .order(ByteOrder.nativeOrder()));
  }

  /** Converts and copies all elements of {@code source}, which has as many, into this. */
  public void copyFrom(Tensor source) {
    Native.run("copy", () -> handle().copy_(source.handle()));
  }

  /** Copies {@code values}, one an element, into this F32 tensor. */
  public void copyFrom(float[] values) {
    require(DType.F32, values.length);
    writeBytes((b, at) -> b.asFloatBuffer().put(values, (int) (at / 4), b.remaining() / 4));
  }

  /** Copies {@code values}, one an element, into this F64 tensor. */
  public void copyFrom(double[] values) {
    require(DType.F64, values.length);
    writeBytes((b, at) -> b.asDoubleBuffer().put(values, (int) (at / 8), b.remaining() / 8));
  }

  /** Copies {@code values}, one an element, into this I64 tensor. */
  public void copyFrom(long[] values) {
    require(DType.I64, values.length);
    writeBytes((b, at) -> b.asLongBuffer().put(values, (int) (at / 8), b.remaining() / 8));
  }

  /** Copies {@code values}, one an element, into this I32 tensor. */
  public void copyFrom(int[] values) {
    require(DType.I32, values.length);
    writeBytes((b, at) -> b.asIntBuffer().put(values, (int) (at / 4), b.remaining() / 4));
  }

  /** All elements of this F32 tensor. */
  public float[] toFloats() {
    float[] values = new float[Math.toIntExact(count())];
    require(DType.F32, values.length);
    readBytes((b, at) -> b.asFloatBuffer().get(values, (int) (at / 4), b.remaining() / 4));
    return values;
  }

  /** All elements of this F64 tensor. */
  public double[] toDoubles() {
    double[] values = new double[Math.toIntExact(count())];
    require(DType.F64, values.length);
    readBytes((b, at) -> b.asDoubleBuffer().get(values, (int) (at / 8), b.remaining() / 8));
    return values;
  }

  /** All elements of this I64 tensor. */
  public long[] toLongs() {
    long[] values = new long[Math.toIntExact(count())];
    require(DType.I64, values.length);
    readBytes((b, at) -> b.asLongBuffer().get(values, (int) (at / 8), b.remaining() / 8));
    return values;
  }

  /** All elements of this I32 tensor. */
  public int[] toInts() {
    int[] values = new int[Math.toIntExact(count())];
    require(DType.I32, values.length);
    readBytes((b, at) -> b.asIntBuffer().get(values, (int) (at / 4), b.remaining() / 4));
    return values;
  }

  /** The only element of a tensor of one. */
  public double item() {
    if (arena.isDry()) {
      return 0;
    }
    return Native.call("item", () -> handle().to(torch.ScalarType.Double).item_double());
  }

  /** Whether no element is infinite or not a number. */
  public boolean isFinite() {
    if (arena.isDry()) {
      return true;
    }
    // A sum is non-finite if an element is; if the elements are huge, look at each.
    return Native.call("isFinite", () -> Double.isFinite(handle().sum().item().toDouble()))
        || Native.call("isFinite", () -> handle().isfinite().all().item_bool());
  }

  /** Sets all elements to {@code value}. */
  void fill_(int value) {
    Native.run("fill_", () -> handle().fill_(new Scalar(value)));
  }

  /** Sets all elements to zero. */
  public void zero_() {
    Native.run("zero_", () -> handle().zero_());
  }

  private void require(DType expected, long count) {
    if (dtype != expected || count() != count) {
      throw new IllegalArgumentException(
          "expected " + expected + " of " + count + " elements, found " + this);
    }
  }

  @Override
  public String toString() {
    return dtype + Arrays.toString(shape);
  }
}
