package dreambooth4j.verify;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.pipeline.StableDiffusion;

/** One loss of text encoders that train: from the tokens of two prompts to their gradients. */
final class TextTrainingCase {
  private TextTrainingCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    PairLoss.check(golden);
    model.trained().forEach(group -> group.parameters().gradients().zero_());
    PairLoss pair = PairLoss.of(arena, golden, model);
    Tensor loss = pair.backward(pair.batch(arena, "input."));
    golden.output(arena, "output.loss", loss.toFloats(), Limits.OUTPUT);
    for (StableDiffusion.Reader each : model.readers()) {
      UNetCase.gradients(
          arena, model.parameters(each.component()), golden, each.component().folder() + ".");
    }
  }
}
