package dreambooth4j.pipeline;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.IndexSelect;
import dreambooth4j.engine.op.Reshape;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/**
 * Prompts to what the UNet is told of them: of a model, this alone knows which text encoders read
 * them. A prompt of several windows is read one window at a time, each from position 0, and the
 * results are joined as kohya's trainer joins them: the begin token of the first, what lies between
 * begin and end of each, the end token of the last.
 */
public final class PromptEncoder {
  private final StableDiffusion model;
  private final TextEncoding how;

  /** Encodes with the text encoder of {@code model}. */
  public PromptEncoder(StableDiffusion model, TextEncoding how) {
    this.model = model;
    this.how = how;
  }

  /** Names what the text encoders of a model have learnt, and how they read. */
  static String fingerprint(ModelSource source) {
    return "%s, tokenizer %s"
        .formatted(
            source.fingerprint(Component.TEXT_ENCODER), source.fingerprint(Component.TOKENIZER));
  }

  /**
   * All that decides what a prompt becomes, in a line.
   *
   * @param weights a name of the weights, or nothing
   */
  String described(String weights) {
    return "%s by %s %s, clip_skip %d, %d tokens"
        .formatted(
            model.parameters(Component.TEXT_ENCODER).dtype(),
            model.textEncoder().config(),
            weights,
            how.clipSkip(),
            tokens());
  }

  /** The shapes of what so many prompts become, F32 all; those of a model in a dry arena too. */
  public Conditioning<long[]> shapes(long prompts) {
    return Conditioning.of(new long[] {prompts, tokens(), model.textEncoder().config().width()});
  }

  /** What a prompt becomes, however long it is: 77, 152 or 227 tokens. */
  private int tokens() {
    return how.windows() * (model.promptLength() - 2) + 2;
  }

  /** The shape of {@link #tokens(Arena, List)} of so many prompts, I64. */
  public Conditioning<long[]> tokenShapes(long prompts) {
    return new Conditioning<>(
        Map.of(Conditioning.TOKENS, new long[] {prompts * how.windows(), model.promptLength()}));
  }

  /** Token ids of prompts: I64 [B · windows, length] in {@code arena}, held by the caller. */
  public Conditioning<Tensor> tokens(Arena arena, List<String> prompts) {
    Tokenizer tokenizer = model.tokenizer();
    int windows = how.windows();
    int each = windows * tokenizer.length();
    long[] ids = new long[prompts.size() * each];
    for (int i = 0; i < prompts.size(); i++) {
      System.arraycopy(tokenizer.encode(prompts.get(i), windows), 0, ids, i * each, each);
    }
    Tensor rows =
        arena.longs("token ids", ids, (long) prompts.size() * windows, tokenizer.length());
    return new Conditioning<>(Map.of(Conditioning.TOKENS, rows));
  }

  /** Encodes {@link #tokens} on a tape, so that gradients may reach the text encoder. */
  public Conditioning<Var> encode(Tape tape, Conditioning<Tensor> tokens) {
    Tensor ids = tokens.get(Conditioning.TOKENS);
    Var states = model.textEncoder().forward(tape, ids, how.clipSkip());
    return Conditioning.of(joined(tape, states, how.windows()));
  }

  /** Encodes prompts on a tape, to {@link #shapes}. */
  public Conditioning<Var> encode(Tape tape, List<String> prompts) {
    Conditioning<Tensor> tokens = tokens(tape.arena(), prompts);
    Conditioning<Var> encoded = encode(tape, tokens);
    Conditioning.release(tokens);
    return encoded;
  }

  /** [B·windows, length, width] to [B, windows·(length − 2) + 2, width]. */
  public static Var joined(Tape tape, Var states, int windows) {
    if (windows == 1) {
      return states;
    }
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

  /** Encodes without backward: {@link #shapes} in {@code arena}, held by the caller. */
  public Conditioning<Tensor> encode(Arena arena, List<String> prompts) {
    try (Tape tape = Tape.inference(arena)) {
      return encode(tape, prompts).map((name, value) -> value.value().retain());
    }
  }
}
