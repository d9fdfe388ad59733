package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.jspecify.annotations.Nullable;

/**
 * An owner of tensors. Arenas form a tree, run &gt; step: what is not released by hand is freed
 * when its arena closes, children first. One thread uses a tree; the root switches libtorch's
 * autograd off on that thread while it is open.
 *
 * <p>In a dry tree tensors have shapes and are counted, but have no memory: ops only say what they
 * would make. So the code that trains also tells beforehand what it will need.
 */
public final class Arena implements AutoCloseable {
  /** What a whole tree holds; one for the tree. */
  private static final class Meter {
    long count;
    long bytes;
    long peakBytes;
    long limitBytes = Long.MAX_VALUE;
    final Device device;
    final boolean dry;
    final boolean onHost;
    final Map<Class<?>, Object> tools = new HashMap<>();
    String part = "";
    final Map<String, Long> parts = new LinkedHashMap<>();
    Map<String, Long> peakParts = Map.of();

    Meter(Device device, boolean dry, boolean onHost) {
      this.device = device;
      this.dry = dry;
      this.onHost = onHost;
    }
  }

  private final String name;
  private final @Nullable Arena parent;
  private final Meter meter;
  private final List<Tensor> live = new ArrayList<>();
  private final List<Arena> children = new ArrayList<>();
  private final @Nullable InferenceMode inferenceMode;
  private boolean closed;

  private Arena(String name, @Nullable Arena parent, Meter meter) {
    this.name = name;
    this.parent = parent;
    this.meter = meter;
    this.inferenceMode = parent == null ? new InferenceMode(true) : null;
  }

  /** The root of a new tree, in CPU memory. Close it on the thread that opened it. */
  public static Arena open(String name) {
    return open(name, Device.CPU);
  }

  /** The root of a new tree on a device. Close it on the thread that opened it. */
  public static Arena open(String name, Device device) {
    return new Arena(name, null, new Meter(device, false, device == Device.CPU));
  }

  /**
   * The root of a new dry tree: ops go the ways of {@code device}, which need not be there. A dry
   * tensor reads as zeros, and what is written to it is lost.
   */
  public static Arena dry(String name, Device device) {
    return new Arena(name, null, new Meter(device, true, true));
  }

  /** In CPU memory that the host does not look into, as if it were a device's: for tests. */
  static Arena staged(String name) {
    return new Arena(name, null, new Meter(Device.CPU, false, false));
  }

  /** Where tensors here lie. */
  public Device device() {
    return meter.device;
  }

  /** Whether tensors here have no memory. */
  public boolean isDry() {
    return meter.dry;
  }

  /**
   * The one tool of a kind in the whole tree, made when it is first asked for: what ops that know
   * more than the core, such as kernels, find in every arena that they work in.
   */
  public <T> T tool(Class<T> kind, Supplier<T> make) {
    return kind.cast(meter.tools.computeIfAbsent(kind, k -> make.get()));
  }

  /** An arena that is closed with this one at the latest. */
  public Arena child(String childName) {
    requireOpen();
    Arena child = new Arena(childName, this, meter);
    children.add(child);
    return child;
  }

  /** Such an arena in CPU memory, from which the host can read; it is counted apart. */
  public Arena onHost() {
    requireOpen();
    Arena child = new Arena(name + " on the host", this, new Meter(Device.CPU, meter.dry, true));
    children.add(child);
    return child;
  }

  /** Whether the host can look into the memory of tensors here. */
  public boolean isOnHost() {
    return meter.onHost;
  }

  /** Refuses to hold more than {@code bytes} in the whole tree from now on. */
  public void limit(long bytes) {
    meter.limitBytes = bytes;
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
                shape,
                Native.options(dtype, meter.dry ? DeviceType.Meta : meter.device.type()),
                null));
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
    long[] shape = new long[(int) handle.dim()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = handle.size(i);
    }
    Tensor tensor = new Tensor(this, handle, base, shape, DType.of(handle.scalar_type()));
    requireRoom(op, tensor.ownedBytes());
    handle.retainReference();
    tensor.position = live.size();
    live.add(tensor);
    tensor.part = meter.part;
    count(tensor, 1);
    return tensor;
  }

  private void requireRoom(String what, long bytes) {
    if (bytes > meter.limitBytes - meter.bytes) {
      throw new Problem(
          Problem.Kind.MEMORY,
          "%s: out of memory (%s: wanted %,d bytes, and of the %,d that the system had left %,d are in use). %s"
              .formatted(name, what, bytes, meter.limitBytes, meter.bytes, Native.SMALLER));
    }
  }

  void forget(Tensor tensor) {
    Tensor last = live.remove(live.size() - 1);
    if (last != tensor) {
      live.set(tensor.position, last);
      last.position = tensor.position;
    }
    count(tensor, -1);
  }

  private void count(Tensor tensor, int change) {
    long bytes = change * tensor.ownedBytes();
    meter.count += change;
    meter.bytes += bytes;
    if (meter.dry) {
      meter.parts.merge(tensor.part, bytes, Long::sum);
    }
    if (meter.bytes > meter.peakBytes) {
      meter.peakBytes = meter.bytes;
      meter.peakParts = meter.dry ? new LinkedHashMap<>(meter.parts) : Map.of();
    }
  }

  /** In a dry tree, names what is made from here on, for {@link #peakParts}. */
  public void part(String partName) {
    meter.part = partName;
  }

  /** Of a dry tree: what was alive at its peak, by the part that it was made in, in bytes. */
  public Map<String, Long> peakParts() {
    return Collections.unmodifiableMap(meter.peakParts);
  }

  /** Tensors alive in the whole tree. */
  public long liveCount() {
    return meter.count;
  }

  /** Bytes alive in the whole tree, libtorch's own workspaces not counted. */
  public long liveBytes() {
    return meter.bytes;
  }

  /** The most bytes that were alive in the whole tree at once. */
  public long peakBytes() {
    return meter.peakBytes;
  }

  /** Forgets earlier peaks: {@link #peakBytes} starts from what is alive now. */
  public void resetPeak() {
    meter.peakBytes = meter.bytes;
  }

  /**
   * Does {@code body} and returns the most bytes that were alive in the whole tree meanwhile; what
   * {@link #peakBytes} was before is not forgotten.
   */
  public long peakOf(Runnable body) {
    long before = meter.peakBytes;
    resetPeak();
    try {
      body.run();
      return meter.peakBytes;
    } finally {
      meter.peakBytes = Math.max(before, meter.peakBytes);
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
      count(tensor, -1);
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
