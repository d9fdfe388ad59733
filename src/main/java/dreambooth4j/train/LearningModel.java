package dreambooth4j.train;

import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.NoiseDraws;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.UNet;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What learns.
 *
 * @param text for batches whose prompts are token ids; null where all come as hidden states
 * @param groups what the optimizer updates; allocated, with gradients
 * @param base computes as the base model meanwhile, whose predictions are then what prior rows are
 *     compared with; null where that is their noise
 * @param outside computes as the base model meanwhile, whose predictions are then what instance
 *     rows are compared with outside of their masks, too; null where they are not
 * @param dropout is told what a step's dropout is drawn by
 */
public record LearningModel(
    UNet unet,
    @Nullable Encoder text,
    NoiseSchedule schedule,
    List<Optimizer.Group> groups,
    @Nullable Consumer<Runnable> base,
    @Nullable Consumer<Runnable> outside,
    Consumer<NoiseDraws> dropout) {
  /** What learns every row's own noise, and drops nothing. */
  public LearningModel(
      UNet unet, @Nullable Encoder text, NoiseSchedule schedule, List<Optimizer.Group> groups) {
    this(unet, text, schedule, groups, null, null, draws -> {});
  }

  /** A text encoder that trains. */
  @FunctionalInterface
  public interface Encoder {
    /**
     * What the UNet is told, of {@link Conditioning#TOKENS} and what else there is, on the tape.
     */
    Conditioning<Var> encode(Tape tape, Conditioning<Tensor> tokens);
  }

  /** The weights of its groups. */
  List<Parameters> parameters() {
    return groups.stream().map(Optimizer.Group::parameters).toList();
  }

  /** What the UNet is told: as it is, or by the text encoder on this tape. */
  Conditioning<Var> prompts(Tape tape, BatchPlaces in) {
    return prompts(tape, in.prompts, in.hasTokens);
  }

  /** As {@link #prompts(Tape, BatchPlaces)}, of these. */
  Conditioning<Var> prompts(Tape tape, Conditioning<Tensor> told, boolean tokens) {
    if (!tokens) {
      return told.map((name, each) -> tape.constant(each));
    }
    if (text == null) {
      throw new IllegalStateException("tokens, but no text encoder");
    }
    return text.encode(tape, told);
  }
}
