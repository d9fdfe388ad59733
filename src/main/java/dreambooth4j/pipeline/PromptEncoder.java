package dreambooth4j.pipeline;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/** Prompts to the hidden states that the UNet attends to. */
public final class PromptEncoder {
  private final StableDiffusion model;
  private final int clipSkip;

  /** {@code clipSkip} as {@link dreambooth4j.model.TextEncoder#forward} takes it. */
  public PromptEncoder(StableDiffusion model, int clipSkip) {
    this.model = model;
    this.clipSkip = clipSkip;
  }

  /** As it was given. */
  int clipSkip() {
    return clipSkip;
  }

  /** Tokens that a prompt becomes, however long it is. */
  int tokens() {
    return model.tokenizer().length();
  }

  /** Encodes on a tape, so that gradients may reach the text encoder: [B, tokens, width]. */
  public Var encode(Tape tape, List<String> prompts) {
    int length = model.tokenizer().length();
    long[] ids = new long[prompts.size() * length];
    for (int i = 0; i < prompts.size(); i++) {
      System.arraycopy(model.tokenizer().encode(prompts.get(i)), 0, ids, i * length, length);
    }
    Tensor tensor = tape.arena().longs("token ids", ids, prompts.size(), length);
    Var states = model.textEncoder().forward(tape, tensor, clipSkip);
    tensor.release();
    return states;
  }

  /** Encodes without a way back: [B, tokens, width] in {@code arena}, held by the caller. */
  public Tensor encode(Arena arena, List<String> prompts) {
    try (Tape tape = Tape.inference(arena)) {
      return encode(tape, prompts).value().retain();
    }
  }
}
