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
import java.util.Map;

/** One loss of text encoders that train: from the tokens of two prompts to their gradients. */
final class TextTrainingCase {
  private static final String BATCH = "row 0 instance, row 1 prior";

  private TextTrainingCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    if (!golden.setting("batch").asText().equals(BATCH)) {
      throw golden.notUnderstood("batch " + golden.setting("batch"));
    }
    model.trained().forEach(group -> group.parameters().gradients().zero_());
    PromptEncoder encoder = new PromptEncoder(model, TextEncoding.USUAL);
    NoiseTarget.Result noised = noised(arena, model, golden);
    try (Tape tape = Tape.recording(arena)) {
      Conditioning<Var> told =
          encoder.encode(
              tape,
              new Conditioning<>(
                  Map.of(
                      Conditioning.TOKENS,
                      golden.input(arena, "input.ids"),
                      Conditioning.TOKENS_2,
                      golden.input(arena, "input.ids_2"),
                      Conditioning.SIZES,
                      golden.input(arena, "input.time_ids"))));
      told.without(Conditioning.SIZES)
          .forEach(
              (name, each) ->
                  golden.output(
                      arena,
                      "output." + Told.recorded(name),
                      each.value().toFloats(),
                      Limits.OUTPUT));
      Tensor times = UNetCase.floats(arena, golden, "input.timestep");
      Var output = model.unet().forward(tape, tape.constant(noised.noisy()), times, told);
      Tensor sample = ChannelsLast.undo(arena, output.value());
      golden.output(arena, "output.sample", sample.toFloats(), Limits.OUTPUT);
      Tensor losses = arena.zeros("losses", DType.F32, 3);
      double prior = golden.setting("prior_loss_weight").asDouble();
      tape.backward(
          RowLoss.apply(
              tape,
              output,
              noised.target(),
              UNetCase.weights(arena, 2, 1, prior),
              LossKernels.Measure.SQUARED,
              losses));
      golden.output(arena, "output.loss", losses.rows(0, 1).toFloats(), Limits.OUTPUT);
    }
    for (StableDiffusion.Reader each : model.readers()) {
      UNetCase.gradients(
          arena, model.parameters(each.component()), golden, each.component().folder() + ".");
    }
  }

  private static NoiseTarget.Result noised(Arena arena, StableDiffusion model, Golden golden) {
    Tensor noise = ChannelsLast.of(arena, golden.input(arena, "input.noise"));
    return NoiseTarget.apply(
        arena,
        new NoiseKernels.Noise(0, 0, 0, noise, null),
        ChannelsLast.of(arena, golden.input(arena, "input.x0")),
        golden.input(arena, "input.timestep"),
        NoiseSchedule.of(model.scheduler()).roots(arena),
        arena.zeros("row index", DType.I32, noise.size(0)),
        arena.zeros("step", DType.I64, 1),
        false);
  }
}
