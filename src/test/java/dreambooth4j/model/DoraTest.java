package dreambooth4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.NoiseDraws;
import dreambooth4j.random.CounterRandom;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DoraTest {
  private static final int IN = 5;
  private static final int OUT = 4;
  private static final int RANK = 2;
  private static final int TOKENS = 3;
  private static final int[] ROWS = {4, 9};
  private static final long SEED = 11;
  private static final long STEP = 6;

  private final SplittableRandom random = new SplittableRandom(3);
  private final Parameters base = new Parameters(DType.F32);
  private final Parameters added = new Parameters(DType.F32);
  private final Adapters adapters =
      new Adapters(added, AdapterKind.DORA, (module, spatial) -> new AdapterSize(RANK, 3));
  private final Dense layer = new Scope(base, adapters, "").dense("to_q", IN, OUT, true);
  private final float[] x = drawn(ROWS.length * TOKENS * IN);

  private float[] drawn(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private void allocate(Arena run) {
    base.allocate(run, false);
    added.allocate(run, true);
    for (Parameters each : new Parameters[] {base, added}) {
      each.all().forEach(weight -> weight.weight().copyFrom(drawn((int) weight.count())));
    }
  }

  private static float[] values(Parameters of, String name) {
    return Objects.requireNonNull(of.byName().get("to_q." + name)).weight().toFloats();
  }

  private float[] forward(Arena run, Tape tape) {
    Tensor given = run.floats("x", x, ROWS.length, TOKENS, IN);
    return layer.forward(tape, tape.constant(given)).value().toFloats();
  }

  /** peft's {@code DoraLinearLayer.forward}: its result is added to the layer's, W x + b. */
  private float[] ofPeft(double share) {
    float[] w = values(base, "weight");
    float[] bias = values(base, "bias");
    float[] a = values(added, "lora_A.weight");
    float[] b = values(added, "lora_B.weight");
    float[] magnitude = values(added, "lora_magnitude_vector");
    double scaling = 3.0 / RANK;
    float[] y = new float[ROWS.length * TOKENS * OUT];
    for (int row = 0; row < ROWS.length * TOKENS; row++) {
      double[] seen = seen(row, share);
      for (int o = 0; o < OUT; o++) {
        double norm = 0;
        double plain = bias[o];
        double ofBase = 0;
        double ofLora = 0;
        for (int i = 0; i < IN; i++) {
          double change = 0;
          for (int r = 0; r < RANK; r++) {
            change += (double) b[o * RANK + r] * a[r * IN + i];
          }
          norm += Math.pow(w[o * IN + i] + scaling * change, 2);
          plain += (double) w[o * IN + i] * x[row * IN + i];
          ofBase += w[o * IN + i] * seen[i];
          ofLora += change * seen[i];
        }
        double factor = magnitude[o] / Math.sqrt(norm);
        y[row * OUT + o] = (float) (plain + (factor - 1) * ofBase + factor * ofLora * scaling);
      }
    }
    return y;
  }

  /** The input of a token without what is dropped. */
  private double[] seen(int token, double share) {
    int each = TOKENS * IN;
    CounterRandom draws =
        CounterRandom.at(SEED, "dropout before to_q.lora_A.weight", STEP, ROWS[token / TOKENS]);
    double[] seen = new double[IN];
    for (int i = 0; i < each; i++) {
      boolean kept = draws.uniform() >= share;
      int at = i - token % TOKENS * IN;
      if (at >= 0 && at < IN) {
        seen[at] = kept ? x[token * IN + at] / (1 - share) : 0;
      }
    }
    return seen;
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.4})
  void shouldTrainWithTheArithmeticOfPeft(double share) {
    try (Arena run = Arena.open("test");
        Tape tape = Tape.recording(run)) {
      allocate(run);
      adapters.drop(share);
      Tensor rows = run.allocate("rows", DType.I32, ROWS.length);
      rows.copyFrom(ROWS);
      adapters.draw(new NoiseDraws(SEED, rows, run.longs("step", new long[] {STEP}, 1), Map.of()));
      assertThat(forward(run, tape)).containsExactly(ofPeft(share), within(1e-4f));
    }
  }

  @Test
  void shouldDropNothingWhereNothingIsLearnt() {
    try (Arena run = Arena.open("test");
        Tape tape = Tape.inference(run)) {
      allocate(run);
      adapters.drop(0.4);
      assertThat(forward(run, tape)).containsExactly(ofPeft(0), within(1e-4f));
    }
  }
}
