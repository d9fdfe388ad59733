package dreambooth4j.pipeline;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.IndexSelect;
import dreambooth4j.engine.op.Reshape;
import dreambooth4j.model.Tokenizer;
import java.util.List;
import java.util.stream.LongStream;

/**
 * Prompts to the hidden states that the UNet attends to. A prompt of several windows is read one
 * window at a time, each from position 0, and the results are joined as kohya's trainer joins them:
 * the begin token of the first, what lies between begin and end of each, the end token of the last.
 */
public final class PromptEncoder {
  private final StableDiffusion model;
  private final TextEncoding how;

  /** Encodes with the text encoder of {@code model}. */
  public PromptEncoder(StableDiffusion model, TextEncoding how) {
    this.model = model;
    this.how = how;
  }

  /** As it was given. */
  int clipSkip() {
    return how.clipSkip();
  }

  /** What a prompt becomes, however long it is: 77, 152 or 227 tokens. */
  int tokens() {
    return how.windows() * (model.tokenizer().length() - 2) + 2;
  }

  /**
   * Encodes on a tape, so that gradients may reach the text encoder: [B, {@link #tokens}, width].
   */
  public Var encode(Tape tape, List<String> prompts) {
    Tokenizer tokenizer = model.tokenizer();
    int windows = how.windows();
    int each = windows * tokenizer.length();
    long[] ids = new long[prompts.size() * each];
    for (int i = 0; i < prompts.size(); i++) {
      System.arraycopy(tokenizer.encode(prompts.get(i), windows), 0, ids, i * each, each);
    }
    long count = (long) prompts.size() * windows;
    Tensor rows = tape.arena().longs("token ids", ids, count, tokenizer.length());
    Var states = model.textEncoder().forward(tape, rows, how.clipSkip());
    rows.release();
    return windows == 1 ? states : joined(tape, states, windows);
  }

  /** [B·windows, length, width] to [B, windows·(length − 2) + 2, width]. */
  private static Var joined(Tape tape, Var states, int windows) {
    long length = states.size(1);
    long all = windows * length;
    long[] kept =
        LongStream.range(0, all)
            .filter(i -> i == 0 || i == all - 1 || (i % length > 0 && i % length < length - 1))
            .toArray();
    Var inLine = Reshape.apply(tape, states, states.size(0) / windows, all, states.size(2));
    Tensor places = tape.arena().longs("places", kept, kept.length);
    Var joined = IndexSelect.apply(tape, inLine, places);
    places.release();
    return joined;
  }

  /** Encodes without a way back: [B, tokens, width] in {@code arena}, held by the caller. */
  public Tensor encode(Arena arena, List<String> prompts) {
    try (Tape tape = Tape.inference(arena)) {
      return encode(tape, prompts).value().retain();
    }
  }
}
