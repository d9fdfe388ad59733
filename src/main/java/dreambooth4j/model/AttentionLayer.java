package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Attention;
import dreambooth4j.engine.op.ProjectedAttention;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * Multi-head attention with its projections: tokens [B, N, width] attend to a context [B, M,
 * contextWidth].
 */
final class AttentionLayer {
  private final Dense query;
  private final Dense key;
  private final Dense value;
  private final Dense output;
  private final int heads;
  private final List<Parameter> products;

  /** Names of the four projections, and whether the first three have a bias. */
  record Names(String query, String key, String value, String output, boolean bias) {
    /** diffusers' attention in a UNet. */
    static final Names UNET = new Names("to_q", "to_k", "to_v", "to_out.0", false);

    /** diffusers' attention in a VAE. */
    static final Names VAE = new Names("to_q", "to_k", "to_v", "to_out.0", true);

    /** transformers' attention in CLIP. */
    static final Names CLIP = new Names("q_proj", "k_proj", "v_proj", "out_proj", true);
  }

  AttentionLayer(Dense query, Dense key, Dense value, Dense output, int heads) {
    this.query = query;
    this.key = key;
    this.value = value;
    this.output = output;
    this.heads = heads;
    products = Stream.of(query, key, value).map(Dense::product).filter(Objects::nonNull).toList();
  }

  /** Declares the projections. */
  static AttentionLayer of(Scope scope, Names names, int width, int contextWidth, int heads) {
    return new AttentionLayer(
        scope.dense(names.query, width, width, names.bias),
        scope.dense(names.key, contextWidth, width, names.bias),
        scope.dense(names.value, contextWidth, width, names.bias),
        scope.dense(names.output, width, width, true),
        heads);
  }

  Var forward(Tape tape, Var x, Var context, boolean causal) {
    return output.forward(tape, attended(tape, x, context, causal));
  }

  /** The same of tokens among themselves, each but the hidden ones seen from behind it. */
  Var forwardHiding(Tape tape, Var x, Tensor hidden) {
    return output.forward(
        tape,
        Attention.applyHiding(
            tape,
            query.forward(tape, x),
            key.forward(tape, x),
            value.forward(tape, x),
            heads,
            hidden));
  }

  private Var attended(Tape tape, Var x, Var context, boolean causal) {
    if (products.size() == 3) {
      return ProjectedAttention.apply(tape, x, context, products, heads, causal);
    }
    return Attention.apply(
        tape,
        query.forward(tape, x),
        key.forward(tape, context),
        value.forward(tape, context),
        heads,
        causal);
  }
}
