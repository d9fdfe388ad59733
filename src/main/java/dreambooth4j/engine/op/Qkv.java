package dreambooth4j.engine.op;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What an attention is of, as its engines take it: q [B, heads, N, d], k and v [B, heads, M, d],
 * libtorch's handles, which live as long as the native call that made them. The last axis is
 * contiguous, the others are as in tokens [B, N, heads, d].
 *
 * @param causal whether a token sees only itself and those before it
 * @param hidden BOOL [B, 1, 1, M], keys that no token sees; null for none
 */
record Qkv(Tensor q, Tensor k, Tensor v, boolean causal, @Nullable Tensor hidden) {
  /** All keys are seen, as far as {@code causal} lets them. */
  Qkv(Tensor q, Tensor k, Tensor v, boolean causal) {
    this(q, k, v, causal, null);
  }

  /** Of tokens [B, N, heads·d] and [B, M, heads·d]; views of the same bytes. */
  static Qkv ofTokens(Tensor q, Tensor k, Tensor v, int heads, boolean causal) {
    return ofTokens(q, k, v, heads, causal, null);
  }

  /** The same, some of whose keys no token sees. */
  static Qkv ofTokens(
      Tensor q, Tensor k, Tensor v, int heads, boolean causal, @Nullable Tensor hidden) {
    return new Qkv(split(q, heads), split(k, heads), split(v, heads), causal, hidden);
  }

  /** [B, N, heads·d] seen as [B, heads, N, d]. */
  static Tensor split(Tensor tokens, long heads) {
    return tokens
        .view(tokens.size(0), tokens.size(1), heads, tokens.size(2) / heads)
        .transpose(1, 2);
  }

  /** [B, heads, N, d] as [B, N, heads·d]; a copy only where an engine lays heads out apart. */
  static Tensor joined(Tensor heads) {
    return heads.transpose(1, 2).flatten(2, 3).contiguous();
  }
}
