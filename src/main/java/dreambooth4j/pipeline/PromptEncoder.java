package dreambooth4j.pipeline;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Concat;
import dreambooth4j.engine.op.IndexSelect;
import dreambooth4j.engine.op.Reshape;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.TextEncoder;
import dreambooth4j.model.TextEncoderConfig;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.pipeline.StableDiffusion.Reader;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Prompts to what the UNet is told of them: of a model, this alone knows which text encoders read
 * them. What several say of a token lies side by side. A prompt of several windows is read one
 * window at a time, each from position 0, and the results are joined as kohya's trainer joins them:
 * the begin token of the first, what lies between begin and end of each, the end token of the last;
 * the pooled vector is the first window's.
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
    return source.pipeline().textEncoders().stream()
        .map(
            each ->
                "%s, tokenizer %s"
                    .formatted(source.fingerprint(each), source.fingerprint(each.tokenizer())))
        .collect(Collectors.joining(", and "));
  }

  /**
   * All that decides what a prompt becomes, in a line.
   *
   * @param weights a name of the weights, or nothing
   */
  String described(String weights) {
    String encoders =
        model.readers().stream()
            .map(each -> model.parameters(each.component()).dtype() + " by " + config(each))
            .collect(Collectors.joining(" and "));
    String read =
        (how.weighted() ? ", with weights" : "") + (how.masked() ? ", padding masked" : "");
    return "%s %s, clip_skip %d, %d tokens%s"
        .formatted(encoders, weights, how.clipSkip(), tokens(), read);
  }

  private static TextEncoderConfig config(Reader reader) {
    return reader.encoder().config();
  }

  /** The shapes of what so many prompts become, F32 all; those of a model in a dry arena too. */
  public Conditioning<long[]> shapes(long prompts) {
    return allShapes(prompts).without(Conditioning.SIZES);
  }

  /** As {@link #shapes}, with what is told of the pictures too. */
  public Conditioning<long[]> allShapes(long prompts) {
    return model.unet().config().conditioning(prompts, tokens());
  }

  /** What a prompt becomes, however long it is: 77, 152 or 227 tokens. */
  private int tokens() {
    return how.windows() * (model.readers().get(0).length() - 2) + 2;
  }

  private static String tokensOf(Reader reader) {
    return reader.component() == Component.TEXT_ENCODER
        ? Conditioning.TOKENS
        : Conditioning.TOKENS_2;
  }

  /** The shapes of {@link #tokens(Arena, List)} of so many prompts, I64. */
  public Conditioning<long[]> tokenShapes(long prompts) {
    return ofReaders(each -> new long[] {prompts * how.windows(), each.length()});
  }

  private <T> Conditioning<T> ofReaders(Function<Reader, T> what) {
    Map<String, T> named = new LinkedHashMap<>();
    model.readers().forEach(each -> named.put(tokensOf(each), what.apply(each)));
    return new Conditioning<>(named);
  }

  /** Token ids of prompts: I64 [B · windows, length] in {@code arena}, held by the caller. */
  public Conditioning<Tensor> tokens(Arena arena, List<String> prompts) {
    return ofReaders(
        each -> tokens(arena, Objects.requireNonNull(each.tokenizer(), "a dry model"), prompts));
  }

  private Tensor tokens(Arena arena, Tokenizer tokenizer, List<String> prompts) {
    int windows = how.windows();
    int each = windows * tokenizer.length();
    long[] ids = new long[prompts.size() * each];
    for (int i = 0; i < prompts.size(); i++) {
      long[] words = words(tokenizer, prompts.get(i));
      System.arraycopy(tokenizer.encode(words, windows), 0, ids, i * each, each);
    }
    return arena.longs("token ids", ids, (long) prompts.size() * windows, tokenizer.length());
  }

  /**
   * The tokens of a prompt; pieces of different weights are read one by one, as A1111 reads them.
   */
  private long[] words(Tokenizer tokenizer, String prompt) {
    return how.weighted()
        ? WeightedPrompt.parse(prompt).pieces().stream()
            .flatMapToLong(piece -> LongStream.of(tokenizer.words(piece.text())))
            .toArray()
        : tokenizer.words(prompt);
  }

  /**
   * Encodes {@link #tokens} on a tape, so that gradients may reach the text encoders; what else is
   * told, such as sizes, is passed on.
   */
  public Conditioning<Var> encode(Tape tape, Conditioning<Tensor> told) {
    Var states = null;
    Var pooled = null;
    for (Reader each : model.readers()) {
      TextEncoder.Said said =
          each.encoder().forward(tape, told.get(tokensOf(each)), how.clipSkip(), how.masked());
      Var joined = joined(tape, said.states(), how.windows());
      states = states == null ? joined : Concat.apply(tape, states, joined);
      pooled = said.pooled() == null ? pooled : firsts(tape, said.pooled(), how.windows());
    }
    Conditioning<Var> encoded = Conditioning.of(Objects.requireNonNull(states, "no text encoder"));
    if (pooled != null) {
      encoded = encoded.with(Conditioning.POOLED, pooled);
    }
    for (Map.Entry<String, Tensor> other :
        told.without(Conditioning.TOKENS, Conditioning.TOKENS_2).named().entrySet()) {
      encoded = encoded.with(other.getKey(), tape.constant(other.getValue()));
    }
    return encoded;
  }

  /** Of the vectors of each prompt's windows, [B · windows, width], the first: [B, width]. */
  private static Var firsts(Tape tape, Var vectors, int windows) {
    if (windows == 1) {
      return vectors;
    }
    long rows = vectors.size(0);
    long[] kept = LongStream.range(0, rows / windows).map(i -> i * windows).toArray();
    Tensor places = tape.arena().longs("places", kept, kept.length);
    Var inLine = Reshape.apply(tape, vectors, 1, rows, vectors.size(1));
    Var first = IndexSelect.apply(tape, inLine, places);
    places.release();
    return Reshape.apply(tape, first, kept.length, vectors.size(1));
  }

  /** Encodes prompts on a tape, to {@link #shapes}. */
  public Conditioning<Var> encode(Tape tape, List<String> prompts) {
    Conditioning<Tensor> tokens = tokens(tape.arena(), prompts);
    Conditioning<Var> encoded = encode(tape, tokens);
    Conditioning.release(tokens);
    return encoded;
  }

  /**
   * What a picture is drawn against, as {@link #encode(Arena, List)} of one prompt. As in
   * diffusers, it is of the usual layers whatever {@code clip_skip} says (A1111 and kohya's scripts
   * skip for both prompts).
   *
   * @param prompt null for none: zeros or an empty prompt, as the model says
   */
  public Conditioning<Tensor> encodeNegative(Arena arena, @Nullable String prompt) {
    if (prompt == null && model.hasZeroNegative()) {
      return shapes(1).map((name, shape) -> arena.zeros(name, DType.F32, shape));
    }
    TextEncoding usual =
        new TextEncoding(
            TextEncoding.USUAL.clipSkip(), how.maxTokenLength(), how.weighted(), how.masked());
    return new PromptEncoder(model, usual).encode(arena, List.of(prompt == null ? "" : prompt));
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

  /**
   * Encodes without backward: {@link #shapes} in {@code arena}, held by the caller. Where weights
   * are read, the hidden states of each token are multiplied with its own, and all of them so that
   * their mean stays what it was, as in A1111's web UI.
   */
  public Conditioning<Tensor> encode(Arena arena, List<String> prompts) {
    Conditioning<Tensor> encoded;
    try (Tape tape = Tape.inference(arena)) {
      encoded = encode(tape, prompts).map((name, value) -> value.value().retain());
    }
    boolean plain =
        !how.weighted() || prompts.stream().allMatch(each -> WeightedPrompt.parse(each).isPlain());
    if (plain) {
      return encoded;
    }
    Tensor states = encoded.hiddenStates();
    float[] values = states.toFloats();
    int each = values.length / prompts.size();
    for (int i = 0; i < prompts.size(); i++) {
      weigh(values, i * each, each, prompts.get(i));
    }
    Tensor weighed = arena.floats("weighed", values, states.shape());
    states.release();
    return encoded.with(Conditioning.HIDDEN_STATES, weighed);
  }

  /** Weighs one prompt's hidden states, [tokens, width], of each text encoder by themselves. */
  private void weigh(float[] values, int from, int count, String prompt) {
    int rowLength = count / tokens();
    int column = 0;
    for (Reader reader : model.readers()) {
      double[] weights = weights(Objects.requireNonNull(reader.tokenizer()), prompt);
      int width = config(reader).width();
      double before = 0;
      double after = 0;
      for (int pass = 0; pass < 2; pass++) {
        for (int token = 0; token < tokens(); token++) {
          for (int i = 0; i < width; i++) {
            int at = from + token * rowLength + column + i;
            if (pass == 0) {
              before += values[at];
              values[at] *= (float) weights[token];
              after += values[at];
            } else {
              values[at] *= (float) (before / after);
            }
          }
        }
      }
      column += width;
    }
  }

  /** What each of {@link #tokens()} counts; those around the prompt count once. */
  private double[] weights(Tokenizer tokenizer, String prompt) {
    double[] weights = new double[tokens()];
    Arrays.fill(weights, 1);
    int at = 1;
    for (WeightedPrompt.Piece piece : WeightedPrompt.parse(prompt).pieces()) {
      int end = Math.min(at + tokenizer.words(piece.text()).length, weights.length - 1);
      Arrays.fill(weights, Math.min(at, end), end, piece.weight());
      at = end;
    }
    return weights;
  }
}
