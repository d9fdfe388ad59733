package dreambooth4j.train;

import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.diffusion.Prediction;
import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.AdamWOnDevice;
import dreambooth4j.engine.kernel.Launcher;
import dreambooth4j.engine.kernel.LossKernels;
import dreambooth4j.engine.kernel.NoiseKernels;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.UNet;
import dreambooth4j.random.CounterRandom;
import org.jspecify.annotations.Nullable;

/**
 * {@link TrainingStep} and its update for batches of one shape, every quantity on the device: what
 * changes from step to step is written to fixed places before ({@link #write}), what it came to is
 * read from fixed places after ({@link #read}), and between the two the host decides nothing. So it
 * can be recorded and replayed. Draws are those that {@link PairBatches} makes on the host.
 *
 * <table>
 * <caption>Fixed places; B rows, in the arena of the run</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>latents</td><td>[B, h, w, channels]</td><td>F32</td></tr>
 * <tr><td>prompts</td><td>[B, tokens, width]</td><td>as given</td></tr>
 * <tr><td>numbers, rowWeights</td><td>[B]</td><td>I32, F32</td></tr>
 * <tr><td>step</td><td>[1]</td><td>I64</td></tr>
 * <tr><td>scalars: rate, factor, loss scale, the average's share</td><td>[16], each on 16 bytes</td><td>F32</td></tr>
 * <tr><td>results: losses [3], norm [1]</td><td>[8], each on 16 bytes</td><td>F32</td></tr>
 * </table>
 */
public final class DeviceStep implements AutoCloseable {
  /**
   * AdamW over all of the optimizer's groups, clipped to a norm; 0 for no clipping. Then the
   * average of the weights, if one is kept.
   */
  public record Update(AdamW optimizer, AdamWOnDevice device, double maxNorm, @Nullable Ema ema) {
    void launch(Tensor rate, Tensor lossScale, Tensor share, Tensor norm) {
      device.launch(optimizer.settings(), optimizer.states(), rate, lossScale, norm, maxNorm);
      optimizer.zeroGradients();
      if (ema != null) {
        ema.launch(share, norm);
      }
    }
  }

  /** What it learns with, the same for batches of all shapes. */
  public record Rule(
      Launcher device,
      UNet unet,
      Objective objective,
      double offsetNoise,
      Tape.Saving saving,
      Update update,
      long seed) {}

  /**
   * What a batch is trained on, without the draws, which a step makes itself.
   *
   * @param latents F32 [B, h, w, channels], scaled, instance rows first
   * @param prompts hidden states [B, tokens, width]
   * @param lossWeights what each row's error counts
   * @param numbers each row's in the step, which its draws are a function of
   */
  @SuppressWarnings("ArrayRecordComponent") // a carrier from draw to step, never compared
  public record Inputs(
      Tensor latents, Tensor prompts, int instanceRows, double[] lossWeights, int[] numbers) {}

  /**
   * What the host decides in a step.
   *
   * @param number the step, from 0
   * @param lossScale fp16's, otherwise 1
   * @param averageShare {@link Ema#share}; 0 where no average is kept
   */
  public record Settings(
      long number,
      double learningRate,
      double priorLossWeight,
      double lossScale,
      double averageShare) {}

  /** What a step came to: losses as {@link TrainingStep} has them, the norm before clipping. */
  public record Result(TrainingStep.Losses losses, double gradientNorm) {}

  private final Rule rule;
  private final Arena arena;
  private final int instanceRows;
  private final Tensor latents;
  private final Tensor prompts;
  private final Tensor numbers;
  private final Tensor rowWeights;
  private final Tensor step;
  private final Tensor scalars;
  private final Tensor results;
  private final Tensor roots;
  private final Tensor timestepWeights;
  private final Tensor timesteps;
  private final NoiseKernels.Noise noise;

  /** Fixed places in an arena of its own within {@code run}, for batches shaped like this one. */
  DeviceStep(Arena run, Rule rule, Inputs like) {
    this.rule = rule;
    arena = run.child("device step");
    long rows = like.latents().size(0);
    instanceRows = like.instanceRows();
    latents = arena.allocate("latents", DType.F32, like.latents().shape());
    prompts = arena.allocate("prompts", like.prompts().dtype(), like.prompts().shape());
    numbers = arena.allocate("numbers", DType.I32, rows);
    rowWeights = arena.allocate("row weights", DType.F32, rows);
    step = arena.allocate("step", DType.I64, 1);
    scalars = arena.allocate("scalars", DType.F32, 16);
    results = arena.zeros("results", DType.F32, 8);
    timesteps = arena.allocate("timesteps", DType.I64, rows);
    NoiseSchedule schedule = rule.objective.schedule();
    int count = schedule.timesteps();
    float[] roots = new float[2 * count];
    float[] weights = new float[count];
    for (int t = 0; t < count; t++) {
      roots[2 * t] = (float) Math.sqrt(schedule.alphaBar(t));
      roots[2 * t + 1] = (float) Math.sqrt(1 - schedule.alphaBar(t));
      weights[t] = (float) rule.objective.timestepWeight(t);
    }
    this.roots = arena.floats("roots", roots, count, 2);
    timestepWeights = arena.floats("timestep weights", weights, count);
    noise =
        new NoiseKernels.Noise(
            CounterRandom.key(rule.seed, PairBatches.NOISE),
            CounterRandom.key(rule.seed, PairBatches.OFFSET_NOISE),
            rule.offsetNoise,
            null,
            null);
  }

  /** Puts a batch of this shape and the step's settings into their places. */
  void write(Inputs inputs, Settings settings) {
    latents.copyFrom(inputs.latents());
    prompts.copyFrom(inputs.prompts());
    int rows = inputs.numbers().length;
    long[] wide = new long[rows];
    float[] weights = new float[rows];
    for (int i = 0; i < rows; i++) {
      wide[i] = inputs.numbers()[i];
      double ofHalf = i < instanceRows ? 1 : settings.priorLossWeight;
      weights[i] = (float) (ofHalf * inputs.lossWeights()[i]);
    }
    rowWeights.copyFrom(weights);
    try (Arena host = arena.child("numbers")) {
      numbers.copyFrom(host.longs("numbers", wide, rows));
    }
    step.copyFrom(new long[] {settings.number});
    float scale = (float) settings.lossScale;
    float[] each = {(float) settings.learningRate, scale, scale, (float) settings.averageShare};
    float[] apart = new float[16];
    for (int i = 0; i < each.length; i++) {
      apart[4 * i] = each[i];
    }
    scalars.copyFrom(apart);
  }

  /** Noise, predict, compare, go back, clip, update, average: launches alone. */
  void run() {
    try (Arena made = arena.child("step");
        Tape tape = Tape.recording(made, rule.saving)) {
      NoiseSchedule schedule = rule.objective.schedule();
      long key = CounterRandom.key(rule.seed, PairBatches.TIMESTEPS);
      NoiseKernels.timesteps(rule.device, numbers, step, timesteps, key, schedule.timesteps());
      Tensor noisy = made.allocate("noisy", DType.F32, latents.shape());
      Tensor target = made.allocate("target", DType.F32, latents.shape());
      boolean velocity = schedule.prediction() == Prediction.VELOCITY;
      NoiseKernels.apply(
          rule.device, noise, latents, timesteps, roots, numbers, step, noisy, target, velocity);
      Tensor times = made.allocate("timesteps", DType.F32, timesteps.count());
      times.copyFrom(timesteps);

      Var prediction =
          rule.unet.forward(
              tape, tape.constant(noisy), times, Conditioning.of(tape.constant(prompts)));
      tape.backward(prediction, compare(made, prediction.value(), target));

      Tensor rate = scalars.rows(0, 1);
      Tensor scale = scalars.rows(8, 1);
      Tensor share = scalars.rows(12, 1);
      Tensor norm = results.rows(4, 1);
      rule.update.launch(rate, scale, share, norm);
      rate.release();
      scale.release();
      share.release();
      norm.release();
    }
  }

  /** The gradient of the loss, times the factor; the losses are left in {@link #results}. */
  private Tensor compare(Arena made, Tensor prediction, Tensor target) {
    Tensor gradient = made.allocate("dprediction", DType.F32, prediction.shape());
    Tensor partial = made.allocate("partial", DType.F64, LossKernels.partials(prediction));
    Tensor errors = made.allocate("errors", DType.F32, prediction.size(0));
    Tensor factor = scalars.rows(4, 1);
    Tensor losses = results.rows(0, 3);
    // The prior loss weight may change from epoch to epoch: it lies in the rows' weights.
    LossKernels.Weights weights =
        new LossKernels.Weights(instanceRows, 1, timesteps, timestepWeights, rowWeights);
    LossKernels.apply(
        rule.device, weights, prediction, target, factor, partial, gradient, errors, losses);
    factor.release();
    losses.release();
    return gradient;
  }

  /** What the last run came to; waits for it. */
  Result read(Settings settings) {
    float[] all = results.toFloats();
    double prior = settings.priorLossWeight == 0 ? 0 : all[2] / settings.priorLossWeight;
    return new Result(new TrainingStep.Losses(all[0], all[1], prior), all[4] / settings.lossScale);
  }

  /** The timesteps that the last run drew. */
  long[] timesteps() {
    return timesteps.toLongs();
  }

  @Override
  public void close() {
    arena.close();
  }
}
