package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.UNet;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.Group;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What learns.
 *
 * @param text for batches whose prompts are token ids; null where all come as hidden states
 * @param groups what the optimizer updates; allocated, with gradients
 */
public record LearningModel(
    UNet unet, @Nullable Encoder text, NoiseSchedule schedule, List<Optimizer.Group> groups) {
  /** A text encoder that trains. */
  @FunctionalInterface
  public interface Encoder {
    /** What the UNet is told, of {@link Conditioning#TOKENS}, on the tape. */
    Conditioning<Var> encode(Tape tape, Conditioning<Tensor> tokens);
  }

  /** A loaded model, as a run is configured; what no prompt reaches is frozen. */
  static LearningModel of(StableDiffusion model, Config config) {
    TextEncoding how = TextEncoding.of(config.model());
    model.freezeUnused(how);
    return new LearningModel(
        model.unet(),
        new PromptEncoder(model, how)::encode,
        NoiseSchedule.of(model.scheduler()),
        model.trained().stream().map(Group::learning).toList());
  }

  /** The weights of its groups. */
  List<Parameters> parameters() {
    return groups.stream().map(Optimizer.Group::parameters).toList();
  }

  /** What the UNet is told: as it is, or by the text encoder on this tape. */
  Conditioning<Var> prompts(Tape tape, BatchPlaces in) {
    if (!in.hasTokens) {
      return in.prompts.map((name, each) -> tape.constant(each));
    }
    if (text == null) {
      throw new IllegalStateException("tokens, but no text encoder");
    }
    return text.encode(tape, in.prompts);
  }
}
