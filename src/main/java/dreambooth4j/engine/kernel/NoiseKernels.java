package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a step draws, and what follows from it: timesteps, noise, noisy latents and target, {@code
 * noise_target.cu}. Draws are those of {@code CounterRandom} at (key, step, number of the row).
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>x0, target</td><td>[B, H, W, C]</td><td>F32</td></tr>
 * <tr><td>noisy</td><td>[B, H, W, C]</td><td>storage</td></tr>
 * <tr><td>timesteps</td><td>[B]</td><td>I64</td></tr>
 * <tr><td>numbers</td><td>[B]</td><td>I32: 2p for an instance, 2p + 1 for its class image</td></tr>
 * <tr><td>step</td><td>[1]</td><td>I64</td></tr>
 * <tr><td>roots</td><td>[timesteps, 2]</td><td>F32: √ᾱ and √(1 − ᾱ)</td></tr>
 * </table>
 */
public final class NoiseKernels {
  private NoiseKernels() {}

  /**
   * Draws a timestep for each row.
   *
   * @param chances F64 [timesteps], rising to 1: of this timestep or one below
   */
  public static void timesteps(
      Launcher device, Tensor numbers, Tensor step, Tensor timesteps, long key, Tensor chances) {
    int rows = (int) timesteps.count();
    device.launch(
        new Launch(
            KernelSource.NOISE_TARGET,
            "noise_timesteps",
            Launch.blocks(rows, 32, rows),
            1,
            32,
            0,
            List.of(
                numbers, step, timesteps, key, chances, Math.toIntExact(chances.count()), rows)));
  }

  /**
   * Draws numbers, a row each: those of {@code CounterRandom} at (key, step, number of the row).
   *
   * @param out F32 [B, ..]
   * @param uniform from 0 to 1, one from each word; otherwise from the normal distribution
   */
  public static void draw(
      Launcher device, Tensor numbers, Tensor step, long key, Tensor out, boolean uniform) {
    int rows = Math.toIntExact(numbers.count());
    int elements = Math.toIntExact(out.count() / rows);
    device.launch(
        new Launch(
            KernelSource.NOISE_TARGET,
            "noise_draw",
            Launch.blocks((elements + 3) / 4, 128, 1024),
            rows,
            128,
            0,
            List.of(numbers, step, out, key, elements, uniform ? 1 : 0)));
  }

  /**
   * Where the noise comes from.
   *
   * @param key of the noise's draws
   * @param offsetKey of offset noise's draws
   * @param strength of offset noise, 0 for none
   * @param given F32 [B, H, W, C], noise to take instead of drawing; or null
   * @param shifts F32 [B, C], offset noise to take instead of drawing; or null
   */
  public record Noise(
      long key, long offsetKey, double strength, @Nullable Tensor given, @Nullable Tensor shifts) {}

  /**
   * Writes the noisy latents and the target.
   *
   * @param velocity whether the target is the velocity, else the noise
   */
  public static void apply(
      Launcher device,
      Noise noise,
      Tensor x0,
      Tensor timesteps,
      Tensor roots,
      Tensor numbers,
      Tensor step,
      Tensor noisy,
      Tensor target,
      boolean velocity) {
    int rows = Math.toIntExact(x0.size(0));
    int elements = Math.toIntExact(x0.count() / rows);
    device.launch(
        new Launch(
            KernelSource.NOISE_TARGET,
            "noise_target_" + Launch.suffix(noisy.dtype(), false),
            Launch.blocks((elements + 3) / 4, 128, 1024),
            rows,
            128,
            0,
            List.of(
                x0,
                timesteps,
                roots,
                numbers,
                step,
                Launch.orNull(noise.given),
                Launch.orNull(noise.shifts),
                noisy,
                target,
                noise.key,
                noise.offsetKey,
                (float) noise.strength,
                elements,
                Math.toIntExact(x0.size(-1)),
                velocity ? 1 : 0)));
  }
}
