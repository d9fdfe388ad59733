package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.LossForm;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.OpCase;
import dreambooth4j.engine.op.RowLoss;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;

/** The combined loss against the plain form of {@link RowLoss}. */
final class LossChecks {
  private LossChecks() {}

  static List<KernelCheck> all() {
    List<KernelCheck> checks = new ArrayList<>();
    for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
      for (int[] size : new int[][] {{5, 3, 7}, {4, 2, 64 * 64 * 4}, {2, 2, 30}, {3, 1, 1}}) {
        checks.add(
            KernelCheck.named(
                "prior loss %s rows=%d instances=%d n=%d"
                    .formatted(dtype, size[0], size[1], size[2]),
                (d, m) -> loss(d, m, dtype, size, LossForm.SQUARED, false)));
      }
      for (LossForm form : LossForm.values()) {
        checks.add(
            KernelCheck.named(
                "prior loss %s %s with a mask, together".formatted(dtype, form),
                (d, m) -> loss(d, m, dtype, new int[] {5, 3, 40}, form, true)));
      }
      checks.add(
          KernelCheck.named(
              "prior loss %s that overflows".formatted(dtype), (d, m) -> overflow(d, m, dtype)));
    }
    return checks;
  }

  /** One way of computing it: the three losses and the gradient. */
  private record Answer(Tensor losses, Tensor gradient) {}

  private static void loss(
      Launcher device, Memory memory, DType dtype, int[] size, LossForm form, boolean masked) {
    int rows = size[0];
    int n = size[2];
    long[] shape = masked ? new long[] {rows, n / 4, 4} : new long[] {rows, n};
    Arena arena = memory.arena();
    Tensor prediction = OpCase.random(arena, dtype, new SplittableRandom(5), shape);
    Tensor target = OpCase.random(arena, DType.F32, new SplittableRandom(6), shape);
    long[] timesteps = new long[rows];
    float[] ofRow = new float[rows];
    for (int i = 0; i < rows; i++) {
      timesteps[i] = i % 4;
      ofRow[i] = 1 + 0.125f * i;
    }
    // Gradients of 10⁻⁵ need fp16's loss scale.
    LossKernels.Weights weights =
        new LossKernels.Weights(
            size[1],
            memory.longs(timesteps),
            memory.floats(1, 0.5f, 0.25f, 0.75f),
            memory.floats(ofRow),
            memory.floats(0.4f),
            memory.floats(0.5f),
            memory.floats(dtype == DType.F16 ? 1024 : 1),
            masked);
    LossKernels.Measure measure =
        new LossKernels.Measure(
            form,
            masked ? memory.floats(0.5f, 0.25f, 1, 2) : null,
            masked
                ? memory.copy(OpCase.random(arena, DType.F32, new SplittableRandom(7), rows, n / 4))
                : null);
    Tensor gradient = memory.blank(dtype, shape);
    Tensor losses = memory.floats(1, 2, 3);
    Tensor ours = memory.copy(prediction);
    Tensor partial = memory.blank(DType.F64, LossKernels.partials(ours));
    LossKernels.apply(
        device, weights, measure, ours, memory.copy(target), partial, gradient, losses);
    LossKernels.Weights given = back(memory, weights);
    LossKernels.Measure how = back(memory, measure);
    Answer plain = plain(arena, DType.F32, prediction, target, given, how);
    Answer exact = plain(arena, DType.F64, prediction, target, given, how);
    Closeness.of("losses", memory.back(losses), plain.losses, exact.losses).holds();
    // The plain one is computed in F32; the kernel rounds its gradient to the type once.
    Closeness.of("gradient", memory.back(gradient), plain.gradient, exact.gradient)
        .holds(2, Closeness.rounding(dtype));
  }

  /** A loss that overflows leaves a gradient that no optimizer updates by. */
  private static void overflow(Launcher device, Memory memory, DType dtype) {
    Tensor prediction =
        memory.copy(OpCase.random(memory.arena(), dtype, new SplittableRandom(5), 2, 30));
    float[] far = new float[60];
    java.util.Arrays.fill(far, 1e30f);
    Tensor one = memory.floats(1);
    LossKernels.Weights weights =
        new LossKernels.Weights(
            1,
            memory.longs(0, 0),
            one,
            memory.floats(1, 1),
            one,
            one,
            memory.floats(1e-20f),
            false);
    Tensor gradient = memory.blank(dtype, 2, 30);
    Tensor target = memory.floats(far).reshaped(2, 30);
    Tensor losses = memory.floats(0, 0, 0);
    Tensor partial = memory.blank(DType.F64, LossKernels.partials(prediction));
    LossKernels.apply(
        device,
        weights,
        LossKernels.Measure.SQUARED,
        prediction,
        target,
        partial,
        gradient,
        losses);
    assertThat(memory.back(losses).toFloats()[0]).isInfinite();
    assertThat(memory.back(gradient).isFinite()).isFalse();
  }

  private static LossKernels.Weights back(Memory memory, LossKernels.Weights of) {
    return new LossKernels.Weights(
        of.instances(),
        memory.back(of.timesteps()),
        memory.back(of.ofTimestep()),
        memory.back(of.ofRow()),
        memory.back(of.prior()),
        memory.back(of.fraction()),
        memory.back(of.lossScale()),
        of.together());
  }

  private static LossKernels.Measure back(Memory memory, LossKernels.Measure of) {
    Tensor thresholds = of.thresholds();
    Tensor mask = of.mask();
    return new LossKernels.Measure(
        of.form(),
        thresholds == null ? null : memory.back(thresholds),
        mask == null ? null : memory.back(mask));
  }

  /** The plain form, added to losses that are there already. */
  private static Answer plain(
      Arena arena,
      DType dtype,
      Tensor prediction,
      Tensor target,
      LossKernels.Weights weights,
      LossKernels.Measure measure) {
    try (Tape tape = Tape.recording(arena)) {
      Var input = tape.input(as(dtype, prediction));
      Tensor losses = as(dtype, arena.floats("losses", new float[] {1, 2, 3}, 3));
      tape.backward(RowLoss.apply(tape, input, as(dtype, target), weights, measure, losses));
      return new Answer(losses, Objects.requireNonNull(input.gradient()).retain());
    }
  }

  private static Tensor as(DType dtype, Tensor of) {
    Tensor converted = of.arena().allocate("converted", dtype, of.shape());
    converted.copyFrom(of);
    return converted;
  }
}
