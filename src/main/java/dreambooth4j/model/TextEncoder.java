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
import dreambooth4j.engine.op.Gelu;
import dreambooth4j.engine.op.LayerNorm.Normed;
import dreambooth4j.engine.op.QuickGelu;
import java.util.ArrayList;
import java.util.List;

/** transformers' {@code CLIPTextModel}: token numbers to hidden states. */
public final class TextEncoder {
  private final TextEncoderConfig config;
  private final Parameter tokens;
  private final Parameter positions;
  private final List<Layer> layers = new ArrayList<>();
  private final TokenNorm finalNorm;
  private final Parameters parameters;

  /** Declares its weights under transformers' names, without the old {@code text_model.} prefix. */
  public TextEncoder(TextEncoderConfig config, Parameters parameters) {
    this.config = config;
    this.parameters = parameters;
    Scope scope = Scope.of(parameters);
    Scope embeddings = scope.in("embeddings");
    tokens = embeddings.parameter("token_embedding.weight", config.vocabulary(), config.width());
    positions = embeddings.parameter("position_embedding.weight", config.length(), config.width());
    for (int i = 0; i < config.layers(); i++) {
      layers.add(new Layer(scope.in("encoder.layers", i), config));
    }
    finalNorm = scope.tokenNorm("final_layer_norm", config.width(), config.normEpsilon());
  }

  /** Its settings. */
  public TextEncoderConfig config() {
    return config;
  }

  /**
   * Encodes prompts.
   *
   * @param ids I64 [B, N], N at most {@code length}
   * @param clipSkip 1 takes the last layer's output, k the k-th from the last; the final
   *     normalisation follows in either case
   * @return [B, N, width], of the weights' type but F32 where that has 16 bits
   */
  public Var forward(Tape tape, Tensor ids, int clipSkip) {
    int used = used(clipSkip);
    return tape.block(
        () -> {
          tape.part("text encoder");
          Tensor places = places(tape, ids);
          Var x =
              Add.apply(
                  tape,
                  Embedding.apply(tape, ids, tokens),
                  Embedding.apply(tape, places, positions));
          places.release();
          for (Layer layer : layers.subList(0, used)) {
            x = layer.forward(tape, x);
          }
          return widened(tape, finalNorm.forward(tape, x));
        });
  }

  /** Caches and other models take F32; conversion loses nothing in either direction. */
  private static Var widened(Tape tape, Var states) {
    DType type = states.value().dtype();
    return Convert.apply(tape, states, type.isHalf() ? DType.F32 : type);
  }

  /**
   * Takes the layers that {@code clipSkip} passes over out of training: no gradient reaches them,
   * and as with torch's optimizers what has no gradient does not decay either.
   */
  public void freezeSkipped(int clipSkip) {
    for (int i = used(clipSkip); i < layers.size(); i++) {
      String prefix = "encoder.layers." + i + ".";
      parameters.all().stream()
          .filter(each -> each.name().startsWith(prefix))
          .forEach(Parameter::freeze);
    }
  }

  private int used(int clipSkip) {
    if (clipSkip < 1 || clipSkip > layers.size()) {
      throw Problem.usage(
          "clip_skip is %d, but this text encoder has %d layers"
              .formatted(clipSkip, layers.size()));
    }
    return layers.size() - clipSkip + 1;
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
    private final Dense feedIn;
    private final Dense feedOut;
    private final boolean quickGelu;

    Layer(Scope scope, TextEncoderConfig config) {
      int width = config.width();
      norm1 = scope.tokenNorm("layer_norm1", width, config.normEpsilon());
      attention =
          AttentionLayer.of(
              scope.in("self_attn"), AttentionLayer.Names.CLIP, width, width, config.heads());
      norm2 = scope.tokenNorm("layer_norm2", width, config.normEpsilon());
      feedIn = scope.dense("mlp.fc1", width, config.feedWidth(), true);
      feedOut = scope.dense("mlp.fc2", config.feedWidth(), width, true);
      quickGelu = config.quickGelu();
    }

    Var forward(Tape tape, Var tokens) {
      return tape.checkpoint(
          List.of(tokens),
          () -> {
            Var normed = norm1.forward(tape, tokens);
            Normed x = norm2.ofSum(tape, tokens, attention.forward(tape, normed, normed, true));
            Var fed = feedIn.forward(tape, x.y());
            fed = quickGelu ? QuickGelu.apply(tape, fed) : Gelu.apply(tape, fed);
            return Add.apply(tape, x.sum(), feedOut.forward(tape, fed));
          });
    }
  }
}
