package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Memory of the device that kernels are checked on. What they write is filled with NaN first: a
 * number that was not written shows. On a device it is fenced, so that one written behind the end
 * shows; for the emulator it lies between pages that nobody may touch, so that one read there does.
 */
final class Memory implements AutoCloseable {
  private static final int FENCE = 64;

  private final Arena arena;
  private final @Nullable UnaryOperator<org.bytedeco.pytorch.Tensor> toDevice;
  private final @Nullable GuardedMemory guarded;
  private final List<Tensor> all = new ArrayList<>();
  private final List<Tensor> fences = new ArrayList<>();

  private Memory(
      Arena arena,
      @Nullable UnaryOperator<org.bytedeco.pytorch.Tensor> toDevice,
      @Nullable GuardedMemory guarded) {
    this.arena = arena;
    this.toDevice = toDevice;
    this.guarded = guarded;
  }

  /** Of a device, to which {@code toDevice} copies a CPU tensor. */
  static Memory of(Arena arena, UnaryOperator<org.bytedeco.pytorch.Tensor> toDevice) {
    return new Memory(arena, toDevice, null);
  }

  /** Of the emulator, which must be loaded. */
  static Memory emulated(Arena arena) {
    return new Memory(arena, null, GuardedMemory.filled(arena));
  }

  /** Whether another run on the same checks left the same bits everywhere. */
  boolean sameBits(Memory other) {
    for (int i = 0; i < all.size(); i++) {
      org.bytedeco.pytorch.Tensor ours = all.get(i).handle();
      org.bytedeco.pytorch.Tensor theirs = other.all.get(i).handle();
      if (!Native.call("bits", () -> bytes(ours).equal(bytes(theirs)))) {
        return false;
      }
    }
    return all.size() == other.all.size();
  }

  private static org.bytedeco.pytorch.Tensor bytes(org.bytedeco.pytorch.Tensor of) {
    return of.view(torch.ScalarType.Byte);
  }

  Arena arena() {
    return arena;
  }

  /** A copy of a CPU tensor on the device. */
  Tensor copy(Tensor of) {
    Tensor copy = blank(of.dtype(), of.shape());
    copy.copyFrom(of);
    return copy;
  }

  Tensor floats(float... values) {
    return copy(arena.floats("values", values, values.length));
  }

  Tensor longs(long... values) {
    return copy(arena.longs("values", values, values.length));
  }

  Tensor ints(int... values) {
    Tensor ints = blank(DType.I32, values.length);
    ints.copyFrom(longs(Arrays.stream(values).asLongStream().toArray()));
    return ints;
  }

  /** Memory that no one has written to. */
  Tensor blank(DType dtype, long... shape) {
    if (guarded != null) {
      Tensor made = guarded.allocate(dtype, shape);
      all.add(made);
      return made;
    }
    UnaryOperator<org.bytedeco.pytorch.Tensor> copies = Objects.requireNonNull(toDevice);
    long count = Tensor.count(shape);
    Tensor whole =
        arena.compute(
            "blank",
            () -> {
              org.bytedeco.pytorch.Tensor made =
                  arena.allocate("blank", dtype, count + FENCE).handle();
              return copies.apply(made.fill_(new Scalar(filler(dtype))));
            });
    all.add(whole);
    fences.add(whole.rows(count, FENCE));
    return whole.rows(0, count).reshaped(shape);
  }

  /** The numbers on the CPU. */
  Tensor back(Tensor of) {
    return arena.compute("back", () -> of.handle().cpu());
  }

  /** Whether nothing was written behind any end. */
  boolean fencesStand() {
    if (guarded != null) {
      return guarded.isIntact();
    }
    for (Tensor fence : fences) {
      boolean stands =
          Native.call(
              "fence",
              () ->
                  fence.dtype().isFloat()
                      ? fence.handle().isnan().all().item_bool()
                      : fence.handle().eq(new Scalar(filler(fence.dtype()))).all().item_bool());
      if (!stands) {
        return false;
      }
    }
    return true;
  }

  private static double filler(DType dtype) {
    return dtype.isFloat() ? Double.NaN : 77;
  }

  /** Gives back what is not the arena's; no tensor may be used after it. */
  @Override
  public void close() {
    if (guarded != null) {
      guarded.close();
    }
  }
}
