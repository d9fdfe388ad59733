package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.OpCase;
import dreambooth4j.engine.op.SquaredError;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;

/** The combined loss against {@link SquaredError} with the weights of {@code Objective}. */
final class LossChecks {
  private static final double PRIOR_WEIGHT = 0.4;

  private LossChecks() {}

  static List<KernelCheck> all() {
    List<KernelCheck> checks = new ArrayList<>();
    for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
      for (int[] size : new int[][] {{5, 3, 7}, {4, 2, 64 * 64 * 4}, {2, 2, 30}, {3, 1, 1}}) {
        checks.add(
            KernelCheck.named(
                "prior loss %s rows=%d instances=%d n=%d"
                    .formatted(dtype, size[0], size[1], size[2]),
                (d, m) -> loss(d, m, dtype, size[0], size[1], size[2])));
      }
    }
    return checks;
  }

  /** One way of computing it: each row's error and the gradient. */
  private record Answer(Tensor errors, Tensor gradient) {}

  private static void loss(
      Launcher device, Memory memory, DType dtype, int rows, int instances, int n) {
    Arena arena = memory.arena();
    Tensor prediction = OpCase.random(arena, dtype, new SplittableRandom(5), rows, n);
    Tensor target = OpCase.random(arena, DType.F32, new SplittableRandom(6), rows, n);
    long[] timesteps = new long[rows];
    float[] ofTimestep = {1, 0.5f, 0.25f, 0.75f};
    float[] ofRow = new float[rows];
    double[] weights = new double[rows];
    for (int i = 0; i < rows; i++) {
      timesteps[i] = i % 4;
      ofRow[i] = 1 + 0.125f * i;
      weights[i] =
          (i < instances ? 1.0 / instances : PRIOR_WEIGHT / (rows - instances))
              * ofTimestep[i % 4]
              * ofRow[i];
    }
    // Gradients of 10⁻⁵ need fp16's loss scale.
    float share = dtype == DType.F16 ? 1024 : 0.5f;
    Tensor gradient = memory.blank(dtype, rows, n);
    Tensor errors = memory.blank(DType.F32, rows);
    Tensor losses = memory.blank(DType.F32, 3);
    Tensor ours = memory.copy(prediction);
    LossKernels.apply(
        device,
        new LossKernels.Weights(
            instances,
            PRIOR_WEIGHT,
            memory.longs(timesteps),
            memory.floats(ofTimestep),
            memory.floats(ofRow)),
        ours,
        memory.copy(target),
        memory.floats(share),
        memory.blank(DType.F64, LossKernels.partials(ours)),
        gradient,
        errors,
        losses);
    Answer plain = plain(arena, DType.F32, prediction, target, weights, share);
    Answer exact = plain(arena, DType.F64, prediction, target, weights, share);
    assertThat(
            new KernelCase.Distance(
                "errors",
                KernelCase.distance(memory.back(errors), exact.errors),
                KernelCase.distance(plain.errors, exact.errors)))
        .matches(e -> e.accepted(DType.F32));
    assertThat(
            new KernelCase.Distance(
                "gradient",
                KernelCase.distance(memory.back(gradient), exact.gradient),
                KernelCase.distance(plain.gradient, exact.gradient)))
        .matches(e -> e.accepted(dtype));
    float[] each = memory.back(errors).toFloats();
    double instance = 0;
    double prior = 0;
    for (int i = 0; i < rows; i++) {
      instance += i < instances ? each[i] : 0;
      prior += i < instances ? 0 : each[i];
    }
    assertThat(memory.back(losses).toFloats())
        .containsExactly(
            new float[] {
              (float) (instance + prior), (float) instance, (float) (prior / (float) PRIOR_WEIGHT)
            },
            org.assertj.core.data.Offset.offset(1e-7f));
  }

  private static Answer plain(
      Arena arena, DType dtype, Tensor prediction, Tensor target, double[] weights, float share) {
    try (Tape tape = Tape.recording(arena)) {
      Var input = tape.input(as(dtype, prediction));
      Var errors = SquaredError.apply(tape, input, as(dtype, target), weights);
      Tensor result = errors.value().retain();
      Tensor seed = arena.allocate("share", dtype, weights.length);
      Tensor ones = arena.zeros("share", DType.F32, weights.length);
      ones.handle().fill_(new org.bytedeco.pytorch.Scalar(share));
      seed.copyFrom(ones);
      tape.backward(errors, seed);
      return new Answer(result, Objects.requireNonNull(input.gradient()).retain());
    }
  }

  private static Tensor as(DType dtype, Tensor of) {
    Tensor converted = of.arena().allocate("converted", dtype, of.shape());
    converted.copyFrom(of);
    return converted;
  }
}
