package dreambooth4j.pipeline;

import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.TensorCache;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** Hidden states of prompts, each computed once: for a text encoder that does not train. */
public final class PromptCache implements Encoded<String> {
  /** To be raised when the same prompt and weights would come out as other states than before. */
  private static final int VERSION = 1;

  private final TensorCache cache;
  private final PromptEncoder encoder;
  private final long[] shape;
  private final String how;

  /**
   * A cache for one text encoder.
   *
   * @param weights names the weights and the tokenizer where the cache outlives them
   */
  public PromptCache(
      TensorCache cache, StableDiffusion model, PromptEncoder encoder, String weights) {
    this.cache = cache;
    this.encoder = encoder;
    this.shape = new long[] {1, encoder.tokens(), model.textEncoder().config().width()};
    this.how =
        "hidden states %d, %s by %s %s, clip_skip %d, %d tokens"
            .formatted(
                VERSION,
                model.parameters(Component.TEXT_ENCODER).dtype(),
                model.textEncoder().config(),
                weights,
                encoder.clipSkip(),
                encoder.tokens());
  }

  @Override
  public TensorCache cache() {
    return cache;
  }

  @Override
  public List<String> missing(Collection<String> prompts) {
    return prompts.stream().filter(prompt -> !cache.has(content(prompt))).toList();
  }

  private String content(String prompt) {
    return how + " of " + Sha256.of(prompt);
  }

  /** [1, tokens, width], held by the caller. */
  @Override
  public Tensor get(String prompt) {
    return cache.get(content(prompt), shape, () -> encoder.encode(cache.arena(), List.of(prompt)));
  }

  /** [B, tokens, width] in {@code step}, held by the caller. */
  public Tensor get(Arena step, List<String> prompts) {
    List<Tensor> rows = new ArrayList<>();
    try {
      prompts.forEach(prompt -> rows.add(get(prompt)));
      return Tensor.stack(step, rows);
    } finally {
      rows.forEach(Tensor::release);
    }
  }
}
