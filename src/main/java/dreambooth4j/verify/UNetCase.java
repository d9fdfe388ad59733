package dreambooth4j.verify;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.LossKernels;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.engine.op.RowLoss;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * The UNet's output and all its gradients, under the mean squared error; of what it is told, those
 * that have one.
 */
final class UNetCase {
  private static final String LOSS = "mean((output.sample - input.target)^2)";

  private UNetCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    if (!golden.setting("loss").asText().equals(LOSS)) {
      throw golden.notUnderstood("loss " + golden.setting("loss"));
    }
    Parameters parameters = model.parameters(Component.UNET);
    parameters.gradients().zero_();
    try (Tape tape = Tape.recording(arena)) {
      Var sample = tape.input(ChannelsLast.of(arena, golden.input(arena, "input.sample")));
      Conditioning<Var> told =
          Told.of(arena, golden, "input.")
              .map(
                  (name, each) ->
                      name.equals(Conditioning.SIZES) ? tape.constant(each) : tape.input(each));
      Tensor losses = arena.zeros("losses", DType.F32, 3);
      Tensor target = ChannelsLast.of(arena, golden.input(arena, "input.target"));
      Var output =
          model.unet().forward(tape, sample, floats(arena, golden, "input.timestep"), told);
      golden.output(
          arena,
          "output.sample",
          ChannelsLast.undo(arena, output.value()).toFloats(),
          Limits.OUTPUT);

      int rows = (int) target.size(0);
      tape.backward(
          RowLoss.apply(
              tape,
              output,
              target,
              weights(arena, rows, rows, 0),
              LossKernels.Measure.SQUARED,
              losses));

      Tensor dSample = ChannelsLast.undo(arena, Objects.requireNonNull(sample.gradient()));
      golden.gradient(arena, "grad.sample", dSample.toFloats(), Limits.GRADIENT);
      told.without(Conditioning.SIZES)
          .forEach(
              (name, each) ->
                  golden.gradient(
                      arena,
                      "grad." + Told.recorded(name),
                      Objects.requireNonNull(each.gradient()).toFloats(),
                      Limits.GRADIENT));
    }
    gradients(arena, parameters, golden, "");
  }

  /** The first rows are instance rows, and the others count so much; none by its timestep. */
  static LossKernels.Weights weights(Arena arena, long rows, int instances, double prior) {
    float[] ones = new float[(int) rows];
    Arrays.fill(ones, 1);
    Tensor one = arena.floats("1", new float[] {1}, 1);
    return new LossKernels.Weights(
        instances,
        arena.zeros("timesteps", DType.I64, rows),
        one,
        arena.floats("ones", ones, rows),
        arena.floats("prior", new float[] {(float) prior}, 1),
        one,
        one,
        false);
  }

  /**
   * Every recorded gradient of a parameter, called {@code grad.PREFIXname}; transformers has {@code
   * text_model.} in front of most names of its models with a projection.
   */
  static void gradients(Arena arena, Parameters parameters, Golden golden, String prefix) {
    for (Parameter each : parameters.all()) {
      for (String within : List.of("", "text_model.")) {
        String name = "grad." + prefix + within + each.name();
        if (golden.has(name)) {
          golden.gradient(
              arena, name, each.toFileOrder(arena, each.gradient()).toFloats(), Limits.GRADIENT);
        }
      }
    }
  }

  /** A recorded tensor converted to F32. */
  static Tensor floats(Arena arena, Golden golden, String name) {
    Tensor stored = golden.input(arena, name);
    Tensor floats = arena.allocate(name, DType.F32, stored.shape());
    floats.copyFrom(stored);
    return floats;
  }
}
