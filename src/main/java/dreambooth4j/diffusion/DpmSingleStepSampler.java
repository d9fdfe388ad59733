package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/**
 * DPM-Solver++ (2S) (Lu et al., 2022): steps in pairs, of which the first is of order 1 and the
 * second takes both again from where the first began, by order 2. The last step is of order 1.
 */
final class DpmSingleStepSampler implements Sampler {
  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final boolean heun;
  private final int order;
  private final History pictures = new History(2);

  /** The sample that the pair began with. */
  private final History start = new History(1);

  private SigmaPath path = SigmaPath.none();

  DpmSingleStepSampler(SchedulerConfig config) {
    SigmaPath.refuseOthers(config);
    this.heun = config.text("solver_type", "midpoint").equals("heun");
    this.order = SigmaPath.order(config);
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
  }

  @Override
  public void begin(int steps) {
    close();
    // It knows one spacing, whatever the configuration says.
    path =
        SigmaPath.multistep(
            config.with("timestep_spacing", "linspace"),
            schedule,
            steps,
            SigmaPath.last(config, schedule),
            Math::rint);
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
    double alpha = path.alpha(i + 1);
    if (order == 1 || i % 2 == 0 || lastIsFirstOrder(i)) {
      start.add(WeightedSum.of(arena, new double[] {1}, x));
      double keep = path.noise(i + 1) / path.noise(i);
      double gain = alpha * (1 - path.sigma(i + 1) / path.sigma(i));
      return WeightedSum.of(arena, new double[] {keep, gain}, x, pictures.get(0));
    }
    double keep = path.noise(i + 1) / path.noise(i - 1);
    double gain = alpha * (1 - path.sigma(i + 1) / path.sigma(i - 1));
    double h = path.stride(i - 1) + path.stride(i);
    double trend = (heun ? alpha - gain / h : gain / 2) * h / path.stride(i - 1);
    return WeightedSum.of(
        arena,
        new double[] {keep, trend, gain - trend},
        start.get(0),
        pictures.get(0),
        pictures.get(1));
  }

  private boolean lastIsFirstOrder(int i) {
    boolean endsAtZero = path.sigma(path.steps()) == 0;
    return i == path.steps() - 1 && (endsAtZero || config.flag("lower_order_final", false));
  }

  @Override
  public void close() {
    pictures.clear();
    start.clear();
  }
}
