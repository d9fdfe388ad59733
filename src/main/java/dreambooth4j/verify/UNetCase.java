package dreambooth4j.verify;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.engine.op.SquaredError;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import java.util.Arrays;
import java.util.Objects;

/** The UNet's output and all its gradients, under the mean squared error. */
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
      Var prompt = tape.input(golden.input(arena, "input.encoder_hidden_states"));
      Tensor target = ChannelsLast.of(arena, golden.input(arena, "input.target"));
      Var output =
          model
              .unet()
              .forward(
                  tape, sample, floats(arena, golden, "input.timestep"), Conditioning.of(prompt));
      golden.output(
          arena,
          "output.sample",
          ChannelsLast.undo(arena, output.value()).toFloats(),
          Limits.OUTPUT);

      double[] weights = new double[(int) sample.size(0)];
      Arrays.fill(weights, 1.0 / weights.length);
      float[] ones = new float[weights.length];
      Arrays.fill(ones, 1);
      tape.backward(
          SquaredError.apply(tape, output, target, weights),
          arena.floats("ones", ones, ones.length));

      Tensor dSample = ChannelsLast.undo(arena, Objects.requireNonNull(sample.gradient()));
      golden.gradient(arena, "grad.sample", dSample.toFloats(), Limits.GRADIENT);
      golden.gradient(
          arena,
          "grad.encoder_hidden_states",
          Objects.requireNonNull(prompt.gradient()).toFloats(),
          Limits.GRADIENT);
    }
    gradients(arena, parameters, golden);
  }

  /** Every recorded gradient of a parameter. */
  static void gradients(Arena arena, Parameters parameters, Golden golden) {
    for (Parameter each : parameters.all()) {
      String name = "grad." + each.name();
      if (golden.has(name)) {
        golden.gradient(
            arena, name, each.toFileOrder(arena, each.gradient()).toFloats(), Limits.GRADIENT);
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
