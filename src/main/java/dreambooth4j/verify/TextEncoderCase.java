package dreambooth4j.verify;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.WeightedSum;
import dreambooth4j.model.TextEncoder;
import dreambooth4j.pipeline.StableDiffusion;

/** A text encoder's output, with layers skipped and without, and all its gradients. */
final class TextEncoderCase {
  private static final String LAST = "output.last_hidden_state";
  private static final String PENULTIMATE = "output.penultimate";
  private static final String POOLED = "output.pooled";
  private static final String COTANGENT = "input.cotangent";
  private static final String POOLED_COTANGENT = "input.pooled_cotangent";
  private static final String SKIPPED = "output.clip_skip.";

  private TextEncoderCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    String component = golden.setting("component").asText();
    StableDiffusion.Reader reader =
        model.readers().stream()
            .filter(each -> each.component().folder().equals(component))
            .findFirst()
            .orElseThrow(() -> golden.notUnderstood("the model has no " + component));
    TextEncoder encoder = reader.encoder();
    Parameters parameters = model.parameters(reader.component());
    parameters.gradients().zero_();
    Tensor ids = golden.input(arena, "input.input_ids");
    boolean masked = golden.settings().path("attention_mask").asBoolean();
    String states = golden.has(PENULTIMATE) ? PENULTIMATE : LAST;
    requireLoss(golden, states);
    try (Tape tape = Tape.recording(arena)) {
      TextEncoder.Said said = encoder.forward(tape, ids, 1, masked);
      golden.output(arena, states, said.states().value().toFloats(), Limits.OUTPUT);
      Var pooled = said.pooled();
      if (pooled != null) {
        golden.output(arena, POOLED, pooled.value().toFloats(), Limits.OUTPUT);
        pooled.accumulate(gradient(arena, golden, POOLED_COTANGENT, pooled));
      }
      tape.backward(said.states(), gradient(arena, golden, COTANGENT, said.states()));
    }
    UNetCase.gradients(arena, parameters, golden, "");
    if (!states.equals(LAST)) {
      try (Tape tape = Tape.inference(arena)) {
        golden.output(arena, LAST, encoder.last(tape, ids).value().toFloats(), Limits.OUTPUT);
      }
    }
    // diffusers counts the layers that are skipped; Stable Diffusion 1's were recorded as ours.
    int first = states.equals(LAST) ? 0 : 1;
    for (String name : golden.names(SKIPPED)) {
      int skip = Integer.parseInt(name.substring(SKIPPED.length())) + first;
      try (Tape tape = Tape.inference(arena)) {
        Var output = encoder.forward(tape, ids, skip).states();
        golden.output(arena, name, output.value().toFloats(), Limits.OUTPUT);
      }
    }
  }

  /** The loss must be the mean of each output times its cotangent. */
  private static void requireLoss(Golden golden, String states) {
    String loss = "mean(%s * %s)".formatted(states, COTANGENT);
    String both = "%s + mean(%s * %s)".formatted(loss, POOLED, POOLED_COTANGENT);
    String said = golden.setting("loss").asText();
    if (!said.equals(golden.has(POOLED) ? both : loss)) {
      throw golden.notUnderstood("loss " + said);
    }
  }

  /** Of the mean of an output times its cotangent; the caller holds it. */
  private static Tensor gradient(Arena arena, Golden golden, String cotangent, Var output) {
    double share = 1.0 / output.value().count();
    return WeightedSum.of(arena, new double[] {share}, golden.input(arena, cotangent));
  }
}
