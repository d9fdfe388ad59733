package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/**
 * Pseudo numerical methods (Liu et al., 2022): DDIM's step with a better estimate of the noise, the
 * linear multistep one of order 4. It warms up by growing orders, its second step being taken twice
 * ({@code skip_prk_steps}), or by three Runge-Kutta steps of four evaluations.
 */
final class PndmSampler implements Sampler {
  /** Adams-Bashforth weights by order, the newest output first. */
  private static final double[][] MULTISTEP = {
    {1},
    {3 / 2., -1 / 2.},
    {23 / 12., -16 / 12., 5 / 12.},
    {55 / 24., -59 / 24., 37 / 24., -9 / 24.}
  };

  /** Weights of the four outputs of a Runge-Kutta step, the last one first. */
  private static final double[] RUNGE_KUTTA = {1 / 6., 1 / 3., 1 / 3., 1 / 6.};

  private static final int STAGES = 4;
  private static final int RUNGE_KUTTA_STEPS = 3;

  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final Spacing spacing;
  private final FinalAlpha alphas;
  private final boolean skipRungeKutta;

  private final History outputs = new History(4);
  private final History stageOutputs = new History(STAGES);

  /** The sample that a step of several evaluations starts from. */
  private final History start = new History(1);

  private double[] timesteps = {};
  private int stride;

  PndmSampler(SchedulerConfig config) {
    config.refuse("rescale_betas_zero_snr");
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
    this.spacing = Spacing.of(config, Spacing.LEADING);
    this.alphas = new FinalAlpha(schedule, config.flag("set_alpha_to_one", false));
    this.skipRungeKutta = config.flag("skip_prk_steps", false);
  }

  @Override
  public void begin(int steps) {
    close();
    double[] grid = spacing.wholeTimesteps(config, schedule, steps, 0);
    alphas.requireAll(grid);
    stride = schedule.timesteps() / steps;
    timesteps = skipRungeKutta ? secondTwice(grid) : rungeKuttaFirst(grid);
  }

  private static double[] secondTwice(double[] grid) {
    double[] all = new double[grid.length == 1 ? 1 : grid.length + 1];
    for (int i = 0; i < all.length; i++) {
      all[i] = grid[i < 2 ? i : i - 1];
    }
    return all;
  }

  /** Each of the first three steps asks at its start, twice half a stride on, and at its end. */
  private double[] rungeKuttaFirst(double[] grid) {
    if (grid.length <= RUNGE_KUTTA_STEPS) {
      throw Problem.usage(
          "pndm with skip_prk_steps false takes at least %d steps, found %d"
              .formatted(RUNGE_KUTTA_STEPS + 1, grid.length));
    }
    int evaluations = RUNGE_KUTTA_STEPS * STAGES;
    double[] all = new double[evaluations + grid.length - RUNGE_KUTTA_STEPS];
    for (int i = 0; i < evaluations; i++) {
      double end = grid[i / STAGES + 1];
      all[i] =
          switch (i % STAGES) {
            case 0 -> grid[i / STAGES];
            case 1, 2 -> end + halfStride();
            default -> end;
          };
    }
    System.arraycopy(grid, RUNGE_KUTTA_STEPS, all, evaluations, grid.length - RUNGE_KUTTA_STEPS);
    return all;
  }

  private int halfStride() {
    return stride / 2;
  }

  @Override
  public double[] timesteps() {
    return timesteps.clone();
  }

  @Override
  public Tensor step(
      Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise) {
    Tensor output = WeightedSum.of(arena, new double[] {1}, modelOutput);
    if (!skipRungeKutta && i < RUNGE_KUTTA_STEPS * STAGES) {
      return rungeKutta(arena, output, x, i);
    }
    double t = timesteps[i];
    if (skipRungeKutta && i < 2) {
      return firstTwice(arena, output, x, i);
    }
    outputs.add(output);
    return move(arena, x, t, t - stride, outputs, MULTISTEP[outputs.size() - 1]);
  }

  /** The first step, and the same again with the mean of the outputs at both its ends. */
  private Tensor firstTwice(Arena arena, Tensor output, Tensor x, int i) {
    double t = timesteps[i];
    if (i == 0) {
      start.add(WeightedSum.of(arena, new double[] {1}, x));
      outputs.add(output);
      return move(arena, x, t, t - stride, outputs, MULTISTEP[0]);
    }
    stageOutputs.add(outputs.get(0).retain());
    stageOutputs.add(output);
    Tensor next =
        move(arena, start.get(0), t + stride, t, stageOutputs, new double[] {1 / 2., 1 / 2.});
    stageOutputs.clear();
    start.clear();
    return next;
  }

  private Tensor rungeKutta(Arena arena, Tensor output, Tensor x, int i) {
    int stage = i % STAGES;
    stageOutputs.add(output);
    if (stage == 0) {
      start.clear();
      start.add(WeightedSum.of(arena, new double[] {1}, x));
      outputs.add(output.retain());
    }
    double from = timesteps[i - stage];
    double to = stage % 2 == 0 ? timesteps[i] - halfStride() : timesteps[i];
    Tensor next =
        move(
            arena,
            start.get(0),
            from,
            to,
            stageOutputs,
            stage == STAGES - 1 ? RUNGE_KUTTA : MULTISTEP[0]);
    if (stage == STAGES - 1) {
      stageOutputs.clear();
    }
    return next;
  }

  /** DDIM's step, with a weighted sum of the newest outputs in place of one. */
  private Tensor move(
      Arena arena, Tensor x, double from, double to, History newest, double[] ofOutputs) {
    Prediction.Mix mix = schedule.prediction().transfer(alphas.at(from), alphas.at(to));
    double[] weights = new double[ofOutputs.length + 1];
    Tensor[] terms = new Tensor[weights.length];
    weights[0] = mix.sample();
    terms[0] = x;
    for (int k = 0; k < ofOutputs.length; k++) {
      weights[k + 1] = mix.output() * ofOutputs[k];
      terms[k + 1] = newest.get(k);
    }
    return WeightedSum.of(arena, weights, terms);
  }

  @Override
  public void close() {
    outputs.clear();
    stageOutputs.clear();
    start.clear();
  }
}
