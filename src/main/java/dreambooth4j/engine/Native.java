package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * The one boundary to libtorch. Every call runs in a pointer scope of its own, so that each scalar,
 * array and tuple made on the way is closed when it returns; what is to live on is retained in it
 * by an {@link Arena}. libtorch's errors are cut down to their first line here.
 */
public final class Native {
  /** What c10's CPU allocator says on Windows and elsewhere, the CUDA one, and C++ itself. */
  private static final Pattern NO_MEMORY =
      Pattern.compile("not enough memory|can't allocate memory|out of memory|bad_alloc");

  private static final String ON_GPU =
      "Set mixed_precision: bf16, gradient_checkpointing: true or use_8bit_adam: true, or lower train_batch_size or resolution.";

  static final String SMALLER =
      "Fewer pictures at once, smaller ones or a smaller model take less.";

  private Native() {}

  /** Calls {@code body} for its result, which must own nothing native. */
  public static <T extends @Nullable Object> T call(String op, Supplier<T> body) {
    try (PointerScope scope = new PointerScope()) {
      return body.get();
    } catch (Problem e) {
      throw e;
    } catch (RuntimeException e) {
      throw explained(op, e);
    }
  }

  /** Calls {@code body} for what it does. */
  public static void run(String op, Runnable body) {
    Native.<@Nullable Void>call(
        op,
        () -> {
          body.run();
          return null;
        });
  }

  /** libtorch's name of an element type: for ops alone. */
  public static ScalarType scalarType(DType dtype) {
    return dtype.scalarType();
  }

  /** libtorch's options for a new tensor of this type, to be used inside a call. */
  static TensorOptions options(DType dtype, DeviceType device) {
    return new TensorOptions()
        .dtype(new ScalarTypeOptional(dtype.scalarType()))
        .device(new DeviceOptional(new org.bytedeco.pytorch.Device(device)));
  }

  private static RuntimeException explained(String op, RuntimeException e) {
    String message = String.valueOf(e.getMessage());
    int end = message.indexOf('\n');
    String line = end < 0 ? message : message.substring(0, end);
    if (NO_MEMORY.matcher(message).find()) {
      return new Problem(
          Problem.Kind.MEMORY,
          "%s: out of memory (%s). %s"
              .formatted(op, line, message.contains("CUDA") ? ON_GPU : SMALLER),
          e);
    }
    return new IllegalStateException(op + ": " + line, e);
  }
}
