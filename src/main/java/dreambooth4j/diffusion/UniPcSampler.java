package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * UniPC (Zhao et al., 2023) of order 2 at most, on the picture that the network sees: a predictor
 * as DPM-Solver++'s, and a corrector that, once the network has been asked at the predicted sample,
 * takes the step before again with what it said there.
 */
final class UniPcSampler implements Sampler {
  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final int order;
  private final boolean lowerOrderFinal;

  /** B(h) of the paper: h, or 1 − exp(−h). */
  private final boolean linearB;

  private final int[] uncorrected;
  private final History pictures = new History(3);

  /** The corrected sample that the last step started from. */
  private final History start = new History(1);

  private SigmaPath path = SigmaPath.none();

  UniPcSampler(SchedulerConfig config) {
    SigmaPath.refuseOthers(config);
    config.refuse("solver_p");
    if (!config.flag("predict_x0", true)) {
      throw config.unsupported("predict_x0");
    }
    // Names of other solvers are a leftover of the sampler that the configuration was written for.
    this.linearB =
        switch (config.text("solver_type", "bh2")) {
          case "bh1" -> true;
          case "bh2", "midpoint", "heun", "logrho" -> false;
          default -> throw config.unsupported("solver_type");
        };
    this.order = SigmaPath.order(config);
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
    this.lowerOrderFinal = config.flag("lower_order_final", true);
    if (order > 1 && !lowerOrderFinal && SigmaPath.last(config, schedule) == 0) {
      throw Problem.data(
          "scheduler_config.json: lower_order_final false is not supported with final_sigmas_type"
              + " zero: the last step has no second order");
    }
    this.uncorrected = config.integers("disable_corrector");
  }

  @Override
  public void begin(int steps) {
    close();
    path =
        SigmaPath.multistep(config, schedule, steps, SigmaPath.last(config, schedule), Math::rint);
  }

  @Override
  public double[] timesteps() {
    return path.timesteps();
  }

  @Override
  public Tensor step(
      Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise) {
    Prediction.Mix picture = schedule.prediction().picture(path.alpha(i), path.noise(i));
    pictures.add(
        WeightedSum.of(arena, new double[] {picture.sample(), picture.output()}, x, modelOutput));
    boolean corrects = i > 0 && Arrays.stream(uncorrected).noneMatch(each -> each == i - 1);
    start.add(corrects ? corrected(arena, i - 1) : WeightedSum.of(arena, new double[] {1}, x));
    return predicted(arena, i);
  }

  private int orderOf(int i) {
    int most = lowerOrderFinal ? Math.min(order, path.steps() - i) : order;
    return Math.min(most, i + 1);
  }

  /** Step {@code i} by what is known at its start. */
  private Tensor predicted(Arena arena, int i) {
    double keep = path.noise(i + 1) / path.noise(i);
    double gain = gain(i);
    if (orderOf(i) == 1) {
      return WeightedSum.of(arena, new double[] {keep, gain}, start.get(0), pictures.get(0));
    }
    double trend = gainOfTrend(i) / 2 * path.stride(i) / path.stride(i - 1);
    return WeightedSum.of(
        arena,
        new double[] {keep, gain + trend, -trend},
        start.get(0),
        pictures.get(0),
        pictures.get(1));
  }

  /** Step {@code i} again; the newest picture is that at its end, the one before at its start. */
  private Tensor corrected(Arena arena, int i) {
    double keep = path.noise(i + 1) / path.noise(i);
    double gain = gain(i);
    double trendGain = gainOfTrend(i);
    if (orderOf(i) == 1) {
      double end = trendGain / 2;
      return WeightedSum.of(
          arena,
          new double[] {keep, end, gain - end},
          start.get(0),
          pictures.get(0),
          pictures.get(1));
    }
    // Weights of the differences to the picture at the end and to the one before the start, so that
    // the moments of exp over the step come out: equation 10 of the paper, solved by hand.
    double h = path.stride(i);
    double b = linearB ? -h : Math.expm1(-h);
    double phi2 = Math.expm1(-h) / -h - 1;
    double phi3 = phi2 / -h - 0.5;
    double earlier = -path.stride(i - 1) / h;
    double rhoEarlier = (phi2 - 2 * phi3) / b / (1 - earlier);
    double ofEnd = trendGain * (phi2 / b - rhoEarlier);
    double ofEarlier = trendGain * rhoEarlier / earlier;
    return WeightedSum.of(
        arena,
        new double[] {keep, ofEnd, gain - ofEnd - ofEarlier, ofEarlier},
        start.get(0),
        pictures.get(0),
        pictures.get(1),
        pictures.get(2));
  }

  /** How much of a steady picture step {@code i} brings in: α·(1 − exp(−h)). */
  private double gain(int i) {
    return path.alpha(i + 1) * (1 - path.sigma(i + 1) / path.sigma(i));
  }

  /** α·B(h) of step {@code i}, what multiplies differences of pictures. */
  private double gainOfTrend(int i) {
    return linearB ? path.alpha(i + 1) * path.stride(i) : gain(i);
  }

  @Override
  public void close() {
    pictures.clear();
    start.clear();
  }
}
