package dreambooth4j.model;

import dreambooth4j.Problem;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.Convert;
import dreambooth4j.engine.op.Embedding;
import dreambooth4j.engine.op.EndPlaces;
import dreambooth4j.engine.op.IndexSelect;
import dreambooth4j.engine.op.LayerNorm.Normed;
import dreambooth4j.engine.op.Reshape;
import dreambooth4j.model.TextEncoderConfig.Use;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * transformers' {@code CLIPTextModel}, with a projection or without: token numbers to hidden states
 * and perhaps a pooled vector.
 */
public final class TextEncoder {
  /**
   * What it says of prompts, of the weights' type but F32 where that has 16 bits.
   *
   * @param states [B, N, width]
   * @param pooled [B, pooled width]; null for an encoder without a projection
   */
  public record Said(Var states, @Nullable Var pooled) {}

  private final TextEncoderConfig config;
  private final Parameter tokens;
  private final @Nullable Parameter added;
  private final Parameter positions;
  private final List<Layer> layers = new ArrayList<>();
  private final TokenNorm finalNorm;
  private final @Nullable Dense projection;

  /** Declares its weights under transformers' names, without the old {@code text_model.} prefix. */
  public TextEncoder(TextEncoderConfig config, Parameters parameters) {
    this(config, parameters, Adapters.NONE, null);
  }

  /**
   * As {@link #TextEncoder(TextEncoderConfig, Parameters)}, with adapters around its layers.
   *
   * @param added vectors of tokens from {@code vocabulary} on, [A, width], declared elsewhere; null
   *     for none
   */
  public TextEncoder(
      TextEncoderConfig config,
      Parameters parameters,
      Adapters adapters,
      @Nullable Parameter added) {
    this.config = config;
    this.added = added;
    Scope scope = new Scope(parameters, adapters, "");
    Scope embeddings = scope.in("embeddings");
    tokens = embeddings.parameter("token_embedding.weight", config.vocabulary(), config.width());
    positions = embeddings.parameter("position_embedding.weight", config.length(), config.width());
    for (int i = 0; i < config.layers(); i++) {
      layers.add(new Layer(scope.in("encoder.layers", i), config));
    }
    finalNorm = scope.tokenNorm("final_layer_norm", config.width(), config.normEpsilon());
    projection =
        config.use() == Use.POOLED
            ? scope.dense("text_projection", config.width(), config.pooledWidth(), false)
            : null;
  }

  /** Its settings. */
  public TextEncoderConfig config() {
    return config;
  }

  /**
   * Encodes prompts.
   *
   * @param ids I64 [B, N], N at most {@code length}
   * @param clipSkip 1 for the layer that the UNet is usually given, k for the one k − 1 before it;
   *     the final normalisation follows where the UNet is usually given its output
   */
  public Said forward(Tape tape, Tensor ids, int clipSkip) {
    return forward(tape, ids, clipSkip, false);
  }

  /**
   * As {@link #forward(Tape, Tensor, int)}.
   *
   * @param masked whether what lies behind a prompt's end is hidden from all tokens: an attention
   *     mask, as transformers' tokenizer makes it
   */
  public Said forward(Tape tape, Tensor ids, int clipSkip, boolean masked) {
    int used = used(clipSkip);
    tape.part("text encoder");
    Var hidden = masked ? padding(tape, ids) : null;
    if (config.use() == Use.NORMED) {
      return new Said(
          tape.block(() -> widened(tape, normed(tape, embedded(tape, ids), hidden, 0, used))),
          null);
    }
    Var states = tape.block(() -> through(tape, embedded(tape, ids), hidden, 0, used));
    Var pooled = projection == null ? null : pooled(tape, projection, states, hidden, used, ids);
    return new Said(widened(tape, states), pooled);
  }

  /** All layers and the final normalisation: [B, N, width], of the weights' type. */
  public Var last(Tape tape, Tensor ids) {
    return tape.block(() -> normed(tape, embedded(tape, ids), null, 0, layers.size()));
  }

  private Var padding(Tape tape, Tensor ids) {
    Tensor behind = EndPlaces.behind(tape.arena(), ids, config.endToken(), config.vocabulary());
    return tape.constantOf("padding", behind);
  }

  private Var normed(Tape tape, Var states, @Nullable Var hidden, int from, int to) {
    return finalNorm.forward(tape, through(tape, states, hidden, from, to));
  }

  private Var pooled(
      Tape tape, Dense projection, Var states, @Nullable Var hidden, int done, Tensor ids) {
    return tape.block(
        () -> {
          Var last = normed(tape, states, hidden, done, layers.size());
          Tensor places = EndPlaces.of(tape.arena(), ids, config.endToken(), config.vocabulary());
          long[] all = {1, ids.count(), config.width()};
          Var rows = IndexSelect.apply(tape, Reshape.apply(tape, last, all), places);
          places.release();
          Var ends = Reshape.apply(tape, rows, ids.size(0), config.width());
          return widened(tape, projection.forward(tape, ends));
        });
  }

  private Var embedded(Tape tape, Tensor ids) {
    return tape.block(
        () -> {
          Tensor places = places(tape, ids);
          Var said =
              added == null
                  ? Embedding.apply(tape, ids, tokens)
                  : Embedding.apply(tape, ids, tokens, added);
          Var x = Add.apply(tape, said, Embedding.apply(tape, places, positions));
          places.release();
          return x;
        });
  }

  /** What the layers from one to before another make of states. */
  private Var through(Tape tape, Var states, @Nullable Var hidden, int from, int to) {
    Var x = states;
    for (Layer layer : layers.subList(from, to)) {
      x = layer.forward(tape, x, hidden);
    }
    return x;
  }

  /** Caches and other models take F32; conversion loses nothing in either direction. */
  private static Var widened(Tape tape, Var states) {
    DType type = states.value().dtype();
    return Convert.apply(tape, states, type.isHalf() ? DType.F32 : type);
  }

  /**
   * Takes out of training what is not computed: the layers that are passed over, and where no layer
   * follows what the UNet is given, the final normalisation. No gradient reaches them, and as with
   * torch's optimizers what has no gradient does not decay either.
   *
   * @param trained its weights, or its adapters'
   */
  public void freezeUnused(int clipSkip, Parameters trained) {
    if (config.use() == Use.POOLED) {
      return; // the pooled vector comes from the last layer
    }
    for (int i = used(clipSkip); i < layers.size(); i++) {
      freeze(trained, "encoder.layers." + i + ".");
    }
    if (config.use() == Use.PENULTIMATE) {
      freeze(trained, "final_layer_norm.");
    }
  }

  private static void freeze(Parameters trained, String prefix) {
    trained.all().stream()
        .filter(each -> each.name().startsWith(prefix))
        .forEach(Parameter::freeze);
  }

  /** How many layers are run for the states that the UNet is given. */
  private int used(int clipSkip) {
    int most = layers.size() - (config.use() == Use.NORMED ? 0 : 1);
    if (clipSkip < 1 || clipSkip > most) {
      throw Problem.usage(
          "clip_skip is %d, but with this text encoder it is from 1 to %d"
              .formatted(clipSkip, most));
    }
    return most - clipSkip + 1;
  }

  /** 0, 1, 2 … for each prompt: I64 [B, N]. */
  private static Tensor places(Tape tape, Tensor ids) {
    int length = (int) ids.size(1);
    long[] values = new long[(int) ids.count()];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % length;
    }
    return tape.arena().longs("positions", values, ids.shape());
  }

  private static final class Layer {
    private final TokenNorm norm1;
    private final AttentionLayer attention;
    private final TokenNorm norm2;
    private final FeedForward feed;

    Layer(Scope scope, TextEncoderConfig config) {
      int width = config.width();
      norm1 = scope.tokenNorm("layer_norm1", width, config.normEpsilon());
      attention =
          AttentionLayer.of(
              scope.in("self_attn"), AttentionLayer.Names.CLIP, width, width, config.heads());
      norm2 = scope.tokenNorm("layer_norm2", width, config.normEpsilon());
      feed = FeedForward.of(scope, width, config.feedWidth(), config.activation());
    }

    Var forward(Tape tape, Var tokens, @Nullable Var hidden) {
      return tape.checkpoint(
          hidden == null ? List.of(tokens) : List.of(tokens, hidden),
          () -> {
            Var normed = norm1.forward(tape, tokens);
            Var attended =
                hidden == null
                    ? attention.forward(tape, normed, normed, true)
                    : attention.forwardHiding(tape, normed, hidden.value());
            Normed x = norm2.ofSum(tape, tokens, attended);
            return Add.apply(tape, x.sum(), feed.forward(tape, x.y()));
          });
    }
  }
}
