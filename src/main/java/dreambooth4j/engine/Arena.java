package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.jspecify.annotations.Nullable;

/**
 * An owner of tensors. Arenas form a tree, run &gt; step: what is not released by hand is freed
 * when its arena closes, children first. One thread opens and closes a tree, and the root switches
 * libtorch's autograd off on that thread while it is open; others may make, hold and release
 * tensors meanwhile.
 *
 * <p>In a dry tree tensors have shapes and are counted, but have no memory: ops only say what they
 * would make. So the code that trains also tells beforehand what it will need.
 */
public final class Arena implements AutoCloseable {
  private final String name;
  private final @Nullable Arena parent;
  private final Backend backend;
  private final Meter meter;
  private final boolean onHost;
  private final List<Tensor> live = new ArrayList<>();
  private final List<Arena> children = new ArrayList<>();
  private final @Nullable InferenceMode inferenceMode;
  private boolean closed;

  private Arena(String name, @Nullable Arena parent, Backend backend, Meter meter, boolean onHost) {
    this.name = name;
    this.parent = parent;
    this.backend = backend;
    this.meter = meter;
    this.onHost = onHost;
    this.inferenceMode = parent == null ? new InferenceMode(true) : null;
  }

  private static Arena root(String name, Backend backend, boolean onHost) {
    return new Arena(name, null, backend, new Meter(backend.isDry()), onHost);
  }

  /** The root of a new tree, in CPU memory. Close it on the thread that opened it. */
  public static Arena open(String name) {
    return open(name, Backend.CPU);
  }

  /** The root of a new tree where this computes. Close it on the thread that opened it. */
  public static Arena open(String name, Backend backend) {
    return root(name, backend, backend.isDry() || backend.device() == Device.CPU);
  }

  /** In CPU memory that the host does not look into, as if it were a device's: for tests. */
  static Arena staged(String name) {
    return root(name, Backend.CPU, false);
  }

  /** What computes here. */
  public Backend backend() {
    return backend;
  }

  /** Where tensors here lie. */
  public Device device() {
    return backend.device();
  }

  /** Whether tensors here have no memory. */
  public boolean isDry() {
    return backend.isDry();
  }

  /** What counts the tensors of the whole tree. */
  public Meter meter() {
    return meter;
  }

  /** An arena that is closed with this one at the latest. */
  public Arena child(String childName) {
    requireOpen();
    Arena child = new Arena(childName, this, backend, meter, onHost);
    children.add(child);
    return child;
  }

  /** Such an arena in CPU memory, from which the host can read; it is counted apart. */
  public Arena onHost() {
    requireOpen();
    Backend host = isDry() ? backend : Backend.CPU;
    Arena child = new Arena(name + " on the host", this, host, new Meter(isDry()), true);
    children.add(child);
    return child;
  }

  /** Whether the host can look into the memory of tensors here. */
  public boolean isOnHost() {
    return onHost;
  }

  /**
   * Memory for a tensor, its content undefined; the caller is its first holder.
   *
   * @throws Problem when the tree's limit forbids it or the device has no such memory
   */
  public Tensor allocate(String what, DType dtype, long... shape) {
    return compute(
        what,
        () ->
            torch.empty(
                shape, Native.options(dtype, isDry() ? DeviceType.Meta : device().type()), null));
  }

  /** As {@link #allocate}, all elements zero. */
  public Tensor zeros(String what, DType dtype, long... shape) {
    Tensor tensor = allocate(what, dtype, shape);
    tensor.zero_();
    return tensor;
  }

  /** An F32 tensor with these elements. */
  public Tensor floats(String what, float[] values, long... shape) {
    Tensor tensor = allocate(what, DType.F32, shape);
    tensor.copyFrom(values);
    return tensor;
  }

  /** An I64 tensor with these elements. */
  public Tensor longs(String what, long[] values, long... shape) {
    Tensor tensor = allocate(what, DType.I64, shape);
    tensor.copyFrom(values);
    return tensor;
  }

  /**
   * Runs a libtorch call and owns the tensor that it returns; the caller is its first holder.
   *
   * @throws Problem when the tree's limit forbids it or the device has no such memory
   */
  public Tensor compute(String op, Supplier<org.bytedeco.pytorch.Tensor> body) {
    return take(op, null, body);
  }

  /** As {@link #compute} for calls that return several tensors. */
  public Tensor[] computeAll(String op, Supplier<org.bytedeco.pytorch.Tensor[]> body) {
    requireOpen();
    return Native.call(
        op,
        () -> {
          org.bytedeco.pytorch.Tensor[] handles = body.get();
          Tensor[] tensors = new Tensor[handles.length];
          for (int i = 0; i < handles.length; i++) {
            tensors[i] = adopt(op, handles[i], null);
          }
          return tensors;
        });
  }

  Tensor take(String op, @Nullable Tensor base, Supplier<org.bytedeco.pytorch.Tensor> body) {
    requireOpen();
    return Native.call(op, () -> adopt(op, body.get(), base));
  }

  private Tensor adopt(String op, org.bytedeco.pytorch.Tensor made, @Nullable Tensor base) {
    // A tensor got from a tuple is a reference into it, which nobody counts: a handle of our own
    // outlives the call. Others are counted by the scope of the call and from here on by us.
    org.bytedeco.pytorch.Tensor handle =
        made.referenceCount() > 0 ? made : new org.bytedeco.pytorch.Tensor(made);
    if (!handle.is_contiguous()) { // as libtorch's attention lays its sums out
      if (base != null) {
        throw new IllegalStateException(op + " of " + base + " skips bytes of it");
      }
      handle = handle.contiguous();
    }
    long[] shape = new long[(int) handle.dim()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = handle.size(i);
    }
    Tensor tensor = new Tensor(this, handle, base, shape, DType.of(handle.scalar_type()));
    synchronized (meter) {
      meter.requireRoom(name, op, tensor.ownedBytes());
      handle.retainReference();
      tensor.position = live.size();
      live.add(tensor);
      tensor.part = meter.part();
      meter.add(tensor.part, tensor.ownedBytes());
    }
    return tensor;
  }

  void forget(Tensor tensor) {
    synchronized (meter) {
      Tensor last = live.remove(live.size() - 1);
      if (last != tensor) {
        live.set(tensor.position, last);
        last.position = tensor.position;
      }
      meter.remove(tensor.part, tensor.ownedBytes());
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the arena " + name + " is closed");
    }
  }

  /** Frees all that is left, children first. A second call does nothing. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    for (Arena child : List.copyOf(children)) {
      child.close();
    }
    closed = true;
    for (Tensor tensor : live) {
      tensor.drop();
      meter.remove(tensor.part, tensor.ownedBytes());
    }
    live.clear();
    if (parent != null) {
      parent.children.remove(this);
    }
    if (inferenceMode != null) {
      inferenceMode.close();
    }
  }
}
