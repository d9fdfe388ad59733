package dreambooth4j.verify;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.WeightedSum;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;

/** The text encoder's output, with layers skipped and without, and all its gradients. */
final class TextEncoderCase {
  private static final String LOSS = "mean(output.last_hidden_state * input.cotangent)";
  private static final String SKIPPED = "output.clip_skip.";

  private TextEncoderCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    if (!golden.setting("loss").asText().equals(LOSS)) {
      throw golden.notUnderstood("loss " + golden.setting("loss"));
    }
    model.parameters(Component.TEXT_ENCODER).gradients().zero_();
    Tensor ids = golden.input(arena, "input.input_ids");
    Tensor cotangent = golden.input(arena, "input.cotangent");
    try (Tape tape = Tape.recording(arena)) {
      Var output = model.textEncoder().forward(tape, ids, 1);
      golden.output(arena, "output.last_hidden_state", output.value().toFloats(), Limits.OUTPUT);
      double share = 1.0 / output.value().count();
      tape.backward(output, WeightedSum.of(arena, new double[] {share}, cotangent));
    }
    UNetCase.gradients(arena, model.parameters(Component.TEXT_ENCODER), golden);
    for (String name : golden.names(SKIPPED)) {
      int skip = Integer.parseInt(name.substring(SKIPPED.length()));
      try (Tape tape = Tape.inference(arena)) {
        Var output = model.textEncoder().forward(tape, ids, skip);
        golden.output(arena, name, output.value().toFloats(), Limits.OUTPUT);
      }
    }
  }
}
