package dreambooth4j.engine.kernel;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.jspecify.annotations.Nullable;

/**
 * One launch of an entry point.
 *
 * @param threads of a block, whole warps; blocks have one dimension, grids up to two
 * @param sharedBytes dynamic shared memory of a block
 * @param arguments in the entry's order: {@link Tensor} (its address), Integer, Long, Float or
 *     Double
 */
public record Launch(
    KernelSource source,
    String entry,
    int gridX,
    int gridY,
    int threads,
    int sharedBytes,
    List<Object> arguments) {
  /** What every device gives a block without being asked. */
  private static final int SHARED_LIMIT = 48 << 10;

  /** The most blocks along a grid's second axis. */
  static final int MOST_ROWS = 65_535;

  /** What a 16-byte load asks of an address; what an arena or libtorch allocates has it. */
  private static final int ALIGNMENT = 16;

  /** Checks what the hardware would refuse. */
  public Launch {
    if (gridX < 1
        || gridY < 1
        || gridY > MOST_ROWS
        || threads < 32
        || threads > 1024
        || threads % 32 != 0
        || sharedBytes > SHARED_LIMIT) {
      throw new IllegalArgumentException(
          "%s: grid %d × %d of %d threads, %d bytes shared"
              .formatted(entry, gridX, gridY, threads, sharedBytes));
    }
  }

  /** An argument that is a tensor or, for null, a null pointer. */
  static Object orNull(@Nullable Tensor tensor) {
    return tensor == null ? Long.valueOf(0) : tensor;
  }

  /** Tensors first, then numbers. */
  static List<Object> arguments(List<Tensor> tensors, Object... numbers) {
    return Stream.concat(tensors.stream(), Stream.of(numbers)).toList();
  }

  /** How many elements of a type a 16-byte load brings. */
  static int wide(DType dtype) {
    return 16 / dtype.bytes();
  }

  /** Elements that a thread loads at once of rows of {@code width}: a whole vector, or one. */
  static int vector(DType dtype, long width) {
    return width % wide(dtype) == 0 ? wide(dtype) : 1;
  }

  /** An entry's suffix: its storage type, and {@code _odd} where it loads element by element. */
  static String suffix(DType dtype, boolean odd) {
    String type =
        switch (dtype) {
          case F32, BF16, F16 -> dtype.name().toLowerCase(Locale.ROOT);
          default -> throw new IllegalArgumentException("no kernels for " + dtype);
        };
    return odd ? type + "_odd" : type;
  }

  /** Blocks of {@code threads} for so many items of work, no more than {@code limit}. */
  static int blocks(long items, int threads, int limit) {
    return (int) Math.max(1, Math.min((items + threads - 1) / threads, limit));
  }

  /**
   * The arguments in native memory, as {@code cuLaunchKernel} takes them: to be called inside a
   * pointer scope, which frees them.
   */
  PointerPointer<Pointer> packed() {
    LongPointer values = new LongPointer(arguments.size());
    PointerPointer<Pointer> pointers = new PointerPointer<>(arguments.size());
    for (int i = 0; i < arguments.size(); i++) {
      values.put(i, bits(arguments.get(i)));
      pointers.put(i, values.getPointer(i));
    }
    return pointers;
  }

  /** Whether 16-byte loads can begin where a tensor does. */
  static boolean isAligned(Tensor tensor) {
    return Native.call("address", () -> address(tensor) % ALIGNMENT == 0);
  }

  /** Of a dry tensor, which has none, where it begins in the one that it is a view of. */
  static long address(Tensor tensor) {
    Pointer data = tensor.handle().data_ptr();
    return data == null
        ? tensor.handle().storage_offset() * tensor.dtype().bytes()
        : data.address();
  }

  // x86-64 and Arm store the low bytes first: a 4-byte argument is read from the slot's beginning.
  private static long bits(Object argument) {
    if (argument instanceof Tensor tensor) {
      if (!isAligned(tensor)) {
        throw new IllegalArgumentException(tensor + " does not begin on a 16-byte boundary");
      }
      return address(tensor);
    } else if (argument instanceof Float number) {
      return Float.floatToRawIntBits(number) & 0xFFFFFFFFL;
    } else if (argument instanceof Double number) {
      return Double.doubleToRawLongBits(number);
    } else if (argument instanceof Integer number) {
      return number & 0xFFFFFFFFL;
    } else if (argument instanceof Long number) {
      return number;
    }
    throw new IllegalArgumentException("not an argument of a kernel: " + argument.getClass());
  }
}
