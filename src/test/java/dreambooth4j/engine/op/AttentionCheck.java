package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Boxed;
import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** One of libtorch's attentions, there and back, held against the CPU's in F64. */
public record AttentionCheck(String engine, DType dtype, long tokens, long width, boolean causal) {
  private static final int HEADS = 3;

  /** For a GPU: every engine of CUDA that takes the sizes of Stable Diffusion's attentions. */
  public static List<AttentionCheck> onGpu() {
    return Stream.of(DType.F32, DType.BF16, DType.F16)
        .flatMap(dtype -> Stream.of(8L, 40L, 64L, 80L, 160L).map(d -> sizes(dtype, d)))
        .flatMap(
            sizes ->
                Arrays.stream(AttentionEngine.values())
                    .filter(each -> each.takes(sizes) || each == AttentionEngine.PLAIN)
                    .flatMap(each -> Stream.of(of(each, sizes, false), of(each, sizes, true))))
        .toList();
  }

  private static Sizes sizes(DType dtype, long width) {
    return new Sizes(dtype, 2, HEADS, 128, 128, width, false);
  }

  private static AttentionCheck of(AttentionEngine engine, Sizes sizes, boolean causal) {
    return new AttentionCheck(engine.name(), sizes.dtype(), sizes.queries(), sizes.width(), causal);
  }

  /** Runs it; {@code toDevice} copies a CPU tensor to where it runs, or returns it. */
  public void on(UnaryOperator<Tensor> toDevice) {
    on(toDevice, work -> work);
  }

  /** As {@link #on(UnaryOperator)}, then recorded and replayed as captured steps are. */
  public void replayedOn(UnaryOperator<Tensor> toDevice, Supplier<Recorder> recorder) {
    on(toDevice);
    try (Recorder open = recorder.get()) {
      on(toDevice, open::record);
    }
  }

  private void on(UnaryOperator<Tensor> toDevice, UnaryOperator<Runnable> recorded) {
    try (Arena arena = Arena.open("attention")) {
      SplittableRandom random = new SplittableRandom(5);
      Tensor[] inputs =
          Stream.of(tokens, tokens, causal ? tokens : 77, causal ? tokens : 77)
              .map(n -> OpCase.random(arena, dtype, random, 2, n, HEADS, width).handle())
              .toArray(Tensor[]::new);
      Native.run(
          "attention",
          () -> {
            Tensor[] there = Arrays.stream(inputs).map(toDevice).toArray(Tensor[]::new);
            List<dreambooth4j.engine.Tensor> ours = new ArrayList<>();
            AttentionEngine of = AttentionEngine.valueOf(engine);
            Runnable work =
                () -> ours.addAll(List.of(arena.computeAll("attention", () -> run(of, there))));
            Runnable again = recorded.apply(work);
            if (again != work) {
              ours.forEach(each -> each.handle().zero_()); // what a replay does not write shows
            }
            again.run();
            Tensor[] exact =
                run(
                    AttentionEngine.CPU_FLASH,
                    Arrays.stream(inputs)
                        .map(each -> each.to(torch.ScalarType.Double))
                        .toArray(Tensor[]::new));
            for (int i = 0; i < exact.length; i++) {
              assertThat(Closeness.relativeError(ours.get(i).handle(), exact[i]))
                  .as(List.of("y", "dq", "dk", "dv").get(i))
                  .isLessThan(16 * rounding());
            }
          });
    }
  }

  private double rounding() {
    return switch (dtype) {
      case BF16 -> 0x1p-9;
      case F16 -> 0x1p-12;
      case F32 -> 0x1p-14; // tensor cores may round products to TF32
      default -> 0x1p-50;
    };
  }

  /** dy, q, k, v [B, tokens, heads, d] to y, dq, dk, dv. */
  private Tensor[] run(AttentionEngine of, Tensor[] inputs) {
    Tensor[] t = Arrays.stream(inputs).map(x -> x.transpose(1, 2)).toArray(Tensor[]::new);
    Qkv qkv = new Qkv(t[1], t[2], t[3], causal);
    Tensor[] out = of.forward(Boxed::call, qkv);
    Tensor[] d = of.backward(Boxed::call, qkv, out, t[0]);
    return new Tensor[] {out[0], d[0], d[1], d[2]};
  }
}
