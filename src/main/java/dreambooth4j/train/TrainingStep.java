package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.Launcher;
import dreambooth4j.engine.op.SquaredError;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.UNet;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One DreamBooth step: noise, predict, compare, go back; then the optimizer updates. The loss is
 * the mean over the instance rows plus the prior loss weight times the mean over the prior rows,
 * each row weighted for its own timestep (reference: diffusers' train_dreambooth, with its min-SNR
 * fault mended).
 */
public final class TrainingStep {
  /**
   * The prompts' hidden states [B, tokens, width]: from a cache, or by the text encoder on the
   * tape.
   */
  @FunctionalInterface
  public interface Prompts {
    /** Gives them on this tape. */
    Var forward(Tape tape);
  }

  /**
   * What is learnt from: instance rows first, then as many or fewer prior rows.
   *
   * @param latents F32 [B, h, w, channels], scaled
   * @param lossWeights what each row's error is multiplied with beside the objective's own weights
   */
  @SuppressWarnings("ArrayRecordComponent") // a carrier from draw to step, never compared
  public record Rows(Tensor latents, Prompts prompts, int instanceRows, double[] lossWeights) {
    /** Rows that all count the same. */
    public Rows(Tensor latents, Prompts prompts, int instanceRows) {
      this(latents, prompts, instanceRows, new double[(int) latents.size(0)]);
      Arrays.fill(lossWeights, 1);
    }
  }

  /**
   * What is drawn at random.
   *
   * @param noise F32, as the latents
   * @param timesteps one a row
   * @param offset F32 [B, channels] for offset noise, or null
   */
  @SuppressWarnings("ArrayRecordComponent") // a carrier from draw to step, never compared
  public record Draws(Tensor noise, long[] timesteps, @Nullable Tensor offset) {}

  /** Mean losses as they enter the sum: total = instance + prior loss weight × prior. */
  public record Losses(double total, double instance, double prior) {}

  private final UNet unet;
  private final Objective objective;
  private final double offsetNoise;
  private final Tape.Saving saving;

  /** Keeps all activations; {@code offsetNoise} is the strength of the offset, 0 for none. */
  public TrainingStep(UNet unet, Objective objective, double offsetNoise) {
    this(unet, objective, offsetNoise, Tape.Saving.NONE);
  }

  /** {@code saving} says how its way back needs less memory. */
  public TrainingStep(UNet unet, Objective objective, double offsetNoise, Tape.Saving saving) {
    this.unet = unet;
    this.objective = objective;
    this.offsetNoise = offsetNoise;
    this.saving = saving;
  }

  /** What this step learns with, for steps whose every quantity lies on the device. */
  DeviceStep.Rule onDevice(Launcher device, DeviceStep.Update update, Config config) {
    return new DeviceStep.Rule(
        device, unet, objective, offsetNoise, saving, update, config.training().seed());
  }

  /**
   * Forward and backward: the gradients of the loss, times {@code factor}, are added to what the
   * parameters have gathered, unless the loss is not finite. All that is made on the way is freed.
   *
   * @param factor 1 / the number of batches that make up the step, times the loss scale if any
   */
  public Losses gather(Arena run, Rows rows, Draws draws, double priorLossWeight, double factor) {
    try (Arena arena = run.child("step");
        Tape tape = Tape.recording(arena, saving)) {
      Var errors = errors(arena, tape, rows, draws, priorLossWeight);
      float[] each = errors.value().toFloats();
      Losses losses = losses(each, rows.instanceRows(), priorLossWeight);
      if (Double.isFinite(losses.total())) {
        float[] seed = new float[each.length];
        Arrays.fill(seed, (float) factor);
        tape.backward(errors, arena.floats("seed", seed, seed.length));
      }
      return losses;
    }
  }

  /** The forward once more, op by op, to find the first that gives a number that is not finite. */
  public void explain(Arena run, Rows rows, Draws draws, double priorLossWeight) {
    try (Arena arena = run.child("explain");
        Tape tape = Tape.checked(arena)) {
      errors(arena, tape, rows, draws, priorLossWeight);
    }
  }

  private Var errors(Arena arena, Tape tape, Rows rows, Draws draws, double priorLossWeight) {
    long[] timesteps = draws.timesteps();
    Tensor noise =
        draws.offset() == null
            ? draws.noise()
            : Objective.offsetNoise(arena, draws.noise(), draws.offset(), offsetNoise);
    Tensor noisy = objective.schedule().addNoise(arena, rows.latents(), noise, timesteps);
    Tensor target = objective.target(arena, rows.latents(), noise, timesteps);
    Var prediction =
        unet.forward(
            tape,
            tape.constant(noisy),
            floats(arena, timesteps),
            Conditioning.of(rows.prompts().forward(tape)));
    double[] weights = objective.rowWeights(timesteps, rows.instanceRows(), priorLossWeight);
    for (int i = 0; i < weights.length; i++) {
      weights[i] *= rows.lossWeights()[i];
    }
    return SquaredError.apply(tape, prediction, target, weights);
  }

  private static Tensor floats(Arena arena, long[] timesteps) {
    Tensor tensor = arena.allocate("timesteps", DType.F32, timesteps.length);
    tensor.copyFrom(arena.longs("timesteps", timesteps, timesteps.length));
    return tensor;
  }

  private static Losses losses(float[] weighted, int instanceRows, double priorLossWeight) {
    double instance = 0;
    double prior = 0;
    for (int i = 0; i < weighted.length; i++) {
      if (i < instanceRows) {
        instance += weighted[i];
      } else {
        prior += weighted[i];
      }
    }
    return new Losses(
        instance + prior, instance, priorLossWeight == 0 ? 0 : prior / priorLossWeight);
  }
}
