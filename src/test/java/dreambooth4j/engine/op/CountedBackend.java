package dreambooth4j.engine.op;

import dreambooth4j.engine.Device;
import dreambooth4j.engine.cudnn.CountedConvolutions;
import java.util.function.Consumer;

/**
 * CUDA's ways without a device, where everything that is computed beside libtorch's own ops is told
 * to somebody.
 */
public final class CountedBackend {
  private CountedBackend() {}

  /**
   * Told of a launch as {@code kernel add_bf16}, of cuDNN's work as {@code convolution forward},
   * and {@code attention forward} and {@code attention backward}.
   */
  public static OpBackend dry(Consumer<String> told) {
    return OpBackend.dry(Device.CUDA)
        .launching(launch -> told.accept("kernel " + launch.entry()))
        .convolving(CountedConvolutions.dry(what -> told.accept("convolution " + what)))
        .attending(
            (sizes, qkv, backward) -> {
              told.accept("attention forward");
              if (backward) {
                told.accept("attention backward");
              }
              return AttentionEngine.DRY;
            });
  }

  /** CUDA with FlashAttention-2 everywhere, whichever attention a trial would find fastest. */
  public static OpBackend flash() {
    return OpBackend.on(Device.CUDA).attending(AttentionChoice.always(AttentionEngine.FLASH));
  }
}
