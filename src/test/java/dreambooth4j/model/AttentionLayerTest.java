package dreambooth4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Add;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Attention computes with its layers as they are, whatever is wrapped around their weights. */
class AttentionLayerTest {
  private static final int WIDTH = 6;
  private static final int RANK = 2;
  private static final int HEADS = 2;

  /** A low-rank adapter: base(x) + up(down(x)). */
  private record Adapted(Dense base, Dense down, Dense up) implements Dense {
    @Override
    public Var forward(Tape tape, Var x) {
      return Add.apply(tape, base.forward(tape, x), up.forward(tape, down.forward(tape, x)));
    }
  }

  private final SplittableRandom random = new SplittableRandom(7);

  private float[] normal(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static Dense dense(Scope scope, String name) {
    return scope.dense(name, WIDTH, WIDTH, false);
  }

  /** W + up · down, each row-major [out, in]. */
  private static float[] merged(float[] base, float[] up, float[] down) {
    float[] sum = base.clone();
    for (int o = 0; o < WIDTH; o++) {
      for (int i = 0; i < WIDTH; i++) {
        for (int r = 0; r < RANK; r++) {
          sum[o * WIDTH + i] += up[o * RANK + r] * down[r * WIDTH + i];
        }
      }
    }
    return sum;
  }

  private static float[] values(Parameters parameters, String name) {
    return Objects.requireNonNull(parameters.byName().get(name)).weight().toFloats();
  }

  private float[] attended(Arena run, AttentionLayer layer, Tensor x, Tensor seed) {
    try (Tape tape = Tape.recording(run)) {
      Var tokens = tape.constant(x);
      Var y = layer.forward(tape, tokens, tokens, false);
      float[] result = y.value().toFloats();
      tape.backward(y, seed);
      return result;
    }
  }

  @Test
  void shouldAttendWithAdaptersAroundItsProjections() {
    try (Arena run = Arena.open("test")) {
      Parameters frozen = new Parameters(DType.F32);
      Parameters adapters = new Parameters(DType.F32);
      Scope base = Scope.of(frozen);
      Scope added = Scope.of(adapters);
      Dense q = dense(base, "q");
      Dense k = dense(base, "k");
      Dense v = dense(base, "v");
      Dense out = dense(base, "out");
      Dense wrapped =
          new Adapted(
              v, added.dense("down", WIDTH, RANK, false), added.dense("up", RANK, WIDTH, false));
      frozen.allocate(run, false);
      adapters.allocate(run, true);
      for (Parameters each : new Parameters[] {frozen, adapters}) {
        each.all().forEach(weight -> weight.weight().copyFrom(normal((int) weight.count())));
      }
      Tensor x = run.floats("x", normal(2 * 3 * WIDTH), 2, 3, WIDTH);
      Tensor seed = run.floats("seed", normal(2 * 3 * WIDTH), 2, 3, WIDTH);

      float[] ours = attended(run, new AttentionLayer(q, k, wrapped, out, HEADS), x, seed);
      for (Parameter weight : adapters.all()) {
        assertThat(weight.gradient().toFloats()).as(weight.name()).doesNotContain(0);
      }
      Parameter value = Objects.requireNonNull(frozen.byName().get("v.weight"));
      value
          .weight()
          .copyFrom(
              merged(
                  value.weight().toFloats(),
                  values(adapters, "up.weight"),
                  values(adapters, "down.weight")));
      float[] expected = attended(run, new AttentionLayer(q, k, v, out, HEADS), x, seed);
      assertThat(ours).hasSameSizeAs(expected);
      for (int i = 0; i < ours.length; i++) {
        assertThat(ours[i]).isCloseTo(expected[i], offset(1e-4f));
      }
    }
  }
}
