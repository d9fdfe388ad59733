package dreambooth4j.verify;

import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.LossKernels;
import dreambooth4j.engine.kernel.NoiseKernels;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.engine.op.NoiseTarget;
import dreambooth4j.engine.op.RowLoss;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.train.TrainingBatch;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * The loss of an instance row and a prior row on recorded draws, from the tokens of their prompts
 * on: what text encoders and UNet make of them, and backward.
 */
record PairLoss(
    Arena arena,
    Golden golden,
    StableDiffusion model,
    PromptEncoder prompts,
    NoiseSchedule schedule) {
  /** What a prompt's parts are called where they were recorded. */
  static final Map<String, String> TOLD =
      Map.of(
          Conditioning.TOKENS, "input.ids",
          Conditioning.TOKENS_2, "input.ids_2",
          Conditioning.SIZES, "input.time_ids");

  private static final String BATCH = "row 0 instance, row 1 prior";

  /** Refuses a case that is not of such a pair. */
  static void check(Golden golden) {
    if (!golden.setting("batch").asText().equals(BATCH)) {
      throw golden.notUnderstood("batch " + golden.setting("batch"));
    }
  }

  /** With the model's own schedule, and texts encoded as usual. */
  static PairLoss of(Arena arena, Golden golden, StableDiffusion model) {
    return new PairLoss(
        arena,
        golden,
        model,
        new PromptEncoder(model, TextEncoding.USUAL),
        NoiseSchedule.of(model.scheduler()));
  }

  /** The recorded rows, the names of their latents and draws behind {@code prefix}. */
  TrainingBatch batch(Arena in, String prefix) {
    Map<String, Tensor> told = new LinkedHashMap<>();
    TOLD.forEach(
        (name, recorded) -> {
          if (golden.has(recorded)) {
            told.put(name, golden.input(in, recorded));
          }
        });
    return TrainingBatch.of(
        ChannelsLast.of(in, golden.input(in, prefix + "x0")),
        new Conditioning<>(told),
        1,
        new TrainingBatch.Given(
            ChannelsLast.of(in, golden.input(in, prefix + "noise")),
            golden.input(in, prefix + "timestep").toLongs(),
            null));
  }

  /** Compares the UNet's output, recorded as {@code sample}. */
  void output(TrainingBatch batch, String sample) {
    try (Tape tape = Tape.inference(arena)) {
      Noised noised = noised(batch);
      compare(predicted(tape, noised, prompts.encode(tape, batch.prompts())), sample);
    }
  }

  /**
   * Compares the outputs of text encoders and UNet, and gathers the gradients of the loss.
   *
   * @return the loss [1], the arena's
   */
  Tensor backward(TrainingBatch batch) {
    Tensor losses = arena.zeros("losses", DType.F32, 3);
    try (Tape tape = Tape.recording(arena)) {
      Noised noised = noised(batch);
      Conditioning<Var> told = prompts.encode(tape, batch.prompts());
      told.without(Conditioning.SIZES)
          .forEach(
              (name, each) ->
                  golden.output(
                      arena,
                      "output." + Told.recorded(name),
                      each.value().toFloats(),
                      Limits.OUTPUT));
      Var output = predicted(tape, noised, told);
      compare(output, "output.sample");
      double prior = golden.setting("prior_loss_weight").asDouble();
      tape.backward(
          RowLoss.apply(
              tape,
              output,
              noised.result.target(),
              UNetCase.weights(arena, 2, 1, prior),
              LossKernels.Measure.SQUARED,
              losses));
    }
    return losses.rows(0, 1);
  }

  private record Noised(Tensor timesteps, NoiseTarget.Result result) {}

  private Noised noised(TrainingBatch batch) {
    TrainingBatch.Given given = Objects.requireNonNull(batch.given());
    Tensor timesteps = arena.longs("timesteps", given.timesteps(), given.timesteps().length);
    return new Noised(
        timesteps,
        NoiseTarget.apply(
            arena,
            new NoiseKernels.Noise(0, 0, 0, given.noise(), null),
            batch.latents(),
            timesteps,
            schedule.roots(arena),
            arena.zeros("rows", DType.I32, given.timesteps().length),
            arena.zeros("step", DType.I64, 1),
            false));
  }

  private Var predicted(Tape tape, Noised noised, Conditioning<Var> told) {
    Tensor floats = arena.allocate("timesteps", DType.F32, noised.timesteps.shape());
    floats.copyFrom(noised.timesteps);
    return model.unet().forward(tape, tape.constant(noised.result.noisy()), floats, told);
  }

  private void compare(Var output, String sample) {
    golden.output(
        arena, sample, ChannelsLast.undo(arena, output.value()).toFloats(), Limits.OUTPUT);
  }
}
