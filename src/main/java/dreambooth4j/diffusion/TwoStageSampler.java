package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/**
 * Methods of order 2 over the noise level that ask the network twice a step, once at its start and
 * once further on: Heun's at its end, taking the mean of both slopes; DPM-Solver-2 (Lu et al.,
 * 2022) in its middle, taking the slope there. The last step, which ends without noise, is Euler's.
 */
final class TwoStageSampler implements Sampler {
  /** Where the network is asked the second time, and what is made of it. */
  enum Method {
    /** At the end. */
    HEUN,
    /** In the middle. */
    DPM2,
    /** In the middle of a step that goes below the next level and comes back with fresh noise. */
    DPM2_ANCESTRAL
  }

  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final Spacing spacing;
  private final Method method;

  /** The sample that a step began with, and of Heun's the slope there. */
  private final History start = new History(2);

  private SigmaPath path = SigmaPath.none();

  TwoStageSampler(SchedulerConfig config, Method method) {
    SigmaPath.refuseOthers(config);
    this.config = config;
    this.method = method;
    this.schedule = NoiseSchedule.of(config);
    this.spacing = Spacing.of(config, Spacing.LINSPACE);
  }

  @Override
  public void begin(int steps) {
    close();
    path =
        EulerSampler.path(
            config,
            schedule,
            spacing,
            steps,
            0,
            t -> method == Method.HEUN ? (float) t : Math.rint(t));
  }

  @Override
  public double[] timesteps() {
    double[] levels = path.timesteps();
    double[] trained = schedule.sigmas();
    double[] all = new double[Math.max(0, 2 * levels.length - 1)];
    for (int i = 0; i < all.length; i++) {
      boolean between = i % 2 == 1 && method != Method.HEUN;
      all[i] = between ? SigmaPath.timestepOf(trained, second(i / 2)) : levels[(i + 1) / 2];
    }
    return all;
  }

  @Override
  public double initNoiseSigma() {
    return EulerSampler.initNoiseSigma(path, spacing);
  }

  @Override
  public Tensor scaleModelInput(Arena arena, Tensor x, int i) {
    return WeightedSum.of(arena, new double[] {SigmaPath.alphaOf(asked(i))}, x);
  }

  @Override
  public Tensor step(
      Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise) {
    int step = i / 2;
    double from = path.sigma(step);
    Prediction.Mix slope = EulerSampler.slope(schedule, asked(i));
    if (i % 2 == 0) {
      start.clear();
      if (method == Method.HEUN) {
        start.add(
            WeightedSum.of(arena, new double[] {slope.sample(), slope.output()}, x, modelOutput));
      }
      start.add(WeightedSum.of(arena, new double[] {1}, x));
      boolean last = step == path.steps() - 1;
      Prediction.Mix way = slope.times((last ? 0 : second(step)) - from);
      return WeightedSum.of(arena, new double[] {1 + way.sample(), way.output()}, x, modelOutput);
    }
    double to = path.sigma(step + 1);
    return switch (method) {
      case HEUN -> {
        double half = (to - from) / 2;
        Prediction.Mix way = slope.times(half);
        yield WeightedSum.of(
            arena,
            new double[] {1, half, way.sample(), way.output()},
            start.get(0),
            start.get(1),
            x,
            modelOutput);
      }
      case DPM2 -> further(arena, slope.times(to - from), modelOutput, x);
      case DPM2_ANCESTRAL -> {
        Tensor below = further(arena, slope.times(to * to / from - from), modelOutput, x);
        Tensor noise = freshNoise.get();
        double up = to / from * Math.sqrt(from * from - to * to);
        Tensor drawn = WeightedSum.of(arena, new double[] {1, up}, below, noise);
        below.release();
        noise.release();
        yield drawn;
      }
    };
  }

  /** From the start of the step by a slope that was found further on. */
  private Tensor further(Arena arena, Prediction.Mix way, Tensor modelOutput, Tensor x) {
    return WeightedSum.of(
        arena, new double[] {1, way.sample(), way.output()}, start.get(0), x, modelOutput);
  }

  /** The level that the network is asked at. */
  private double asked(int i) {
    return i % 2 == 0 ? path.sigma(i / 2) : second(i / 2);
  }

  /** The level that the network is asked at the second time of a step. */
  private double second(int step) {
    double from = path.sigma(step);
    double to = path.sigma(step + 1);
    return switch (method) {
      case HEUN -> to;
      case DPM2 -> Math.sqrt(from * to);
      case DPM2_ANCESTRAL -> to; // √(from · (to² / from))
    };
  }

  @Override
  public void close() {
    start.clear();
  }
}
