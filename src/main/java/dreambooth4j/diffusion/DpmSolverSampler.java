package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.DoubleUnaryOperator;
import java.util.function.Supplier;

/**
 * DPM-Solver++ 2M (Lu et al., 2022, algorithm 2): exact in the linear part, and the picture that
 * the network sees extrapolated along log(1/σ) from the last two steps. As SDE-DPM-Solver++ each
 * step goes twice as far, and fresh noise takes the place of what is then missing.
 */
final class DpmSolverSampler implements Sampler {
  /** Below this number of steps the last one is taken at first order. */
  private static final int FEW = 15;

  /** The algorithm_type of the form with fresh noise. */
  static final String SDE = "sde-dpmsolver++";

  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final int order;
  private final boolean heun;
  private final boolean sde;
  private final boolean endsAtZero;
  private final History pictures = new History(2);
  private SigmaPath path = SigmaPath.none();

  DpmSolverSampler(SchedulerConfig config) {
    SigmaPath.refuseOthers(config);
    if (config.number("lambda_min_clipped", Double.NEGATIVE_INFINITY) != Double.NEGATIVE_INFINITY) {
      throw config.unsupported("lambda_min_clipped");
    }
    // Names of other solvers are a leftover of the sampler that the configuration was written for.
    this.sde =
        switch (config.text("algorithm_type", "dpmsolver++")) {
          case "dpmsolver++", "deis" -> false;
          case SDE -> true;
          default -> throw config.unsupported("algorithm_type");
        };
    this.heun =
        switch (config.text("solver_type", "midpoint")) {
          case "midpoint", "logrho", "bh1", "bh2" -> false;
          case "heun" -> true;
          default -> throw config.unsupported("solver_type");
        };
    this.order = SigmaPath.order(config);
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
    this.endsAtZero = SigmaPath.last(config, schedule) == 0;
  }

  @Override
  public void begin(int steps) {
    close();
    boolean cosine = config.text("beta_schedule", "linear").equals("squaredcos_cap_v2");
    DoubleUnaryOperator karrasRounding = cosine ? Math::floor : Math::rint;
    path =
        SigmaPath.multistep(
            config, schedule, steps, SigmaPath.last(config, schedule), karrasRounding);
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
    double way = path.sigma(i + 1) / path.sigma(i);
    double left = sde ? way * way : way;
    double keep = path.noise(i + 1) / path.noise(i) * (sde ? way : 1);
    double gain = path.alpha(i + 1) * (1 - left);
    double h = path.stride(i);
    // A run that ends at the lowest level that it asked at has a last step of no length.
    boolean first = order == 1 || i == 0 || h == 0 || (i == path.steps() - 1 && lastIsFirstOrder());
    double trend = first ? 0 : heun ? path.alpha(i + 1) - gain / (sde ? 2 * h : h) : gain / 2;
    trend *= first ? 0 : h / path.stride(i - 1);
    if (!sde) {
      return WeightedSum.of(
          arena,
          new double[] {keep, gain + trend, -trend},
          x,
          pictures.get(0),
          pictures.get(first ? 0 : 1));
    }
    Tensor noise = freshNoise.get(); // drawn in the last step too, as diffusers draws it
    Tensor next =
        WeightedSum.of(
            arena,
            new double[] {keep, gain + trend, -trend, path.noise(i + 1) * Math.sqrt(1 - left)},
            x,
            pictures.get(0),
            pictures.get(first ? 0 : 1),
            noise);
    noise.release();
    return next;
  }

  private boolean lastIsFirstOrder() {
    return endsAtZero
        || config.flag("euler_at_final", false)
        || (config.flag("lower_order_final", true) && path.steps() < FEW);
  }

  @Override
  public void close() {
    pictures.clear();
  }
}
