package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.kernel.Autotuner;
import dreambooth4j.engine.kernel.Autotuner.Candidate;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.engine.op.AttentionEngine.Operators;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;

/**
 * Which engine computes an attention. On a CPU there is one. On CUDA the fastest of a trial takes
 * all attentions of the same sizes, in this run and in later ones on the same machine; a way back
 * counts where there is one.
 */
final class AttentionChoice {
  private final Autotuner autotuner;
  private final Runnable await;

  /** {@code await} returns when all that was launched is done. */
  AttentionChoice(Autotuner autotuner, Runnable await) {
    this.autotuner = autotuner;
    this.await = await;
  }

  /**
   * The engine for tensors of these sizes.
   *
   * @param qkv q, k and v, which the trial takes too; asked for inside a native call
   */
  static AttentionEngine of(Arena arena, Sizes sizes, Supplier<Tensor[]> qkv, boolean goesBack) {
    if (arena.isDry()) {
      return AttentionEngine.DRY;
    }
    if (arena.device() == Device.CPU) {
      return AttentionEngine.CPU_FLASH;
    }
    return arena
        .tool(
            AttentionChoice.class,
            () -> new AttentionChoice(Autotuner.ofUser("attention"), CudaDevice::await))
        .choose(Boxed::call, sizes, qkv, goesBack);
  }

  AttentionEngine choose(Operators to, Sizes sizes, Supplier<Tensor[]> qkv, boolean goesBack) {
    List<Candidate> candidates =
        Arrays.stream(AttentionEngine.values())
            .filter(each -> each.takes(sizes))
            .map(
                each ->
                    new Candidate(
                        each.name(),
                        () ->
                            Autotuner.seconds(
                                () -> run(each, to, qkv, sizes.causal(), goesBack), await)))
            .toList();
    return AttentionEngine.valueOf(autotuner.choose(key(sizes, goesBack), candidates));
  }

  /** What a choice is remembered by. */
  static String key(Sizes sizes, boolean goesBack) {
    String multiplied = Platform.multipliedIn(sizes.dtype());
    boolean less = !multiplied.equals(sizes.dtype().toString());
    return sizes + (goesBack ? ", there and back" : ", there") + (less ? ", " + multiplied : "");
  }

  private static void run(
      AttentionEngine engine,
      Operators to,
      Supplier<Tensor[]> qkv,
      boolean causal,
      boolean goesBack) {
    Native.run(
        "attention's trial",
        () -> {
          Tensor[] of = qkv.get();
          Tensor[] there = engine.forward(to, of[0], of[1], of[2], causal);
          if (goesBack) {
            Tensor[] kept = Arrays.copyOfRange(there, 1, there.length);
            engine.backward(to, of[0], of[0], of[1], of[2], there[0], kept, causal);
          }
        });
  }
}
