package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * The network that the recorded samplers were driven by, 0.3·x + 0.5·sin(t/100), so that nothing
 * but the sampler is tested.
 */
final class MadeUpModel {
  private MadeUpModel() {}

  static Tensor output(Arena arena, Tensor x, double timestep) {
    Tensor one = arena.floats("one", new float[] {1}, 1, 1, 1, 1);
    double shift = 0.5 * Math.sin((float) timestep / 100);
    Tensor output = WeightedSum.of(arena, new double[] {0.3, shift}, x, one);
    one.release();
    return output;
  }

  /** The samples after each step from {@code noise} [B, C, H, W] on, all released before return. */
  static List<float[]> path(
      Arena arena, Sampler sampler, int steps, Tensor noise, IntFunction<Tensor> freshNoise) {
    sampler.begin(steps);
    List<float[]> path = new ArrayList<>();
    Tensor x = WeightedSum.of(arena, new double[] {sampler.initNoiseSigma()}, noise);
    double[] timesteps = sampler.timesteps();
    for (int i = 0; i < timesteps.length; i++) {
      int step = i;
      Tensor input = sampler.scaleModelInput(arena, x, i);
      Tensor output = output(arena, input, timesteps[i]);
      Tensor next = sampler.step(arena, output, x, i, () -> freshNoise.apply(step));
      input.release();
      output.release();
      x.release();
      x = next;
      path.add(x.toFloats());
    }
    x.release();
    return path;
  }

  static double relativeError(float[] ours, float[] theirs, int offset) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < ours.length; i++) {
      double their = theirs[offset + i];
      error += (ours[i] - their) * (ours[i] - their);
      norm += their * their;
    }
    return Math.sqrt(error / norm);
  }
}
