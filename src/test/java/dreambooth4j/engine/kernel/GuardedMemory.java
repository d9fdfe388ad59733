package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;

/**
 * Tensors that the emulator ends a launch for if it touches what lies around them: reading behind
 * an end is as wrong as writing there.
 */
final class GuardedMemory implements AutoCloseable {
  /** What is out of bounds around a tensor of a check: a page would do. */
  private static final long NEAR = 1 << 16;

  /** Farther than an index of 32 bits that has overflowed leads, of elements of 8 bytes. */
  private static final long FAR = 8L << 32;

  private final Arena arena;
  private final boolean sparse;
  private final List<Long> addresses = new ArrayList<>();
  private boolean intact = true;

  private GuardedMemory(Arena arena, boolean sparse) {
    this.arena = arena;
    this.sparse = sparse;
  }

  /** All bits are set, which is NaN. */
  static GuardedMemory filled(Arena arena) {
    return new GuardedMemory(arena, false);
  }

  /** Zeros of any size, which take memory where they are written. */
  static GuardedMemory sparse(Arena arena) {
    return new GuardedMemory(arena, true);
  }

  private static final class At extends Pointer {
    At(long address) {
      this.address = address;
    }
  }

  /** A tensor, to be used until this is closed. */
  Tensor allocate(DType dtype, long... shape) {
    long bytes = Tensor.count(shape) * dtype.bytes();
    long address = Emulator.guard(bytes, sparse ? FAR : NEAR, sparse);
    if (address == 0) {
      throw new IllegalStateException("no memory of " + bytes + " bytes");
    }
    addresses.add(address);
    return arena.compute(
        "guarded",
        () ->
            torch.from_blob(
                new At(address),
                shape,
                new TensorOptions().dtype(new ScalarTypeOptional(Native.scalarType(dtype)))));
  }

  /** Gives all back, and says whether nobody wrote beside a tensor. */
  boolean isIntact() {
    for (long each : addresses) {
      intact &= Emulator.release(each, sparse);
    }
    addresses.clear();
    return intact;
  }

  @Override
  public void close() {
    isIntact();
  }
}
