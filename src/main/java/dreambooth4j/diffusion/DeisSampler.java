package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/** DEIS (Zhang and Chen, 2023), multistep of order 2 over log ρ: on the noise that is predicted. */
final class DeisSampler implements Sampler {
  /** Below so many steps the last one is of order 1. */
  private static final int FEW = 15;

  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final int order;
  private final History noises = new History(2);
  private SigmaPath path = SigmaPath.none();

  DeisSampler(SchedulerConfig config) {
    SigmaPath.refuseOthers(config);
    config.refuse("rescale_betas_zero_snr");
    this.order = SigmaPath.order(config);
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
  }

  @Override
  public void begin(int steps) {
    close();
    // Levels of training end at the lowest of them, Karras's at the last that is asked at: the
    // same.
    path = SigmaPath.multistep(config, schedule, steps, schedule.sigmas()[0], Math::rint);
  }

  @Override
  public double[] timesteps() {
    return path.timesteps();
  }

  @Override
  public Tensor step(
      Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise) {
    Prediction.Mix noise = schedule.prediction().noise(path.alpha(i), path.noise(i));
    noises.add(
        WeightedSum.of(arena, new double[] {noise.sample(), noise.output()}, x, modelOutput));
    double from = path.sigma(i);
    double to = path.sigma(i + 1);
    double alpha = path.alpha(i + 1);
    double keep = alpha / path.alpha(i);
    boolean lastOfFew =
        i == path.steps() - 1 && path.steps() < FEW && config.flag("lower_order_final", true);
    if (order == 1 || i == 0 || lastOfFew) {
      return WeightedSum.of(arena, new double[] {keep, alpha * (to - from)}, x, noises.get(0));
    }
    double before = path.sigma(i - 1);
    double newest = integral(to, from, before) - integral(from, from, before);
    double older = integral(to, before, from) - integral(from, before, from);
    return WeightedSum.of(
        arena, new double[] {keep, alpha * newest, alpha * older}, x, noises.get(0), noises.get(1));
  }

  /** The integral of (log t − log c) / (log b − log c). */
  private static double integral(double t, double b, double c) {
    return t * (Math.log(t) - Math.log(c) - 1) / (Math.log(b) - Math.log(c));
  }

  @Override
  public void close() {
    noises.clear();
  }
}
