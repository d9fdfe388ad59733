package dreambooth4j.pipeline;

import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Conditioning;
import dreambooth4j.weights.TensorCache;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** The conditioning of prompts, computed once each: for a text encoder that does not train. */
public final class PromptCache implements Encoded<String> {
  /** To be raised when the same prompt and weights would give another conditioning than before. */
  private static final int VERSION = 1;

  private final TensorCache cache;
  private final PromptEncoder encoder;
  private final Conditioning<long[]> shapes;
  private final String how;

  /**
   * A cache of what one encoder says.
   *
   * @param weights names the weights and the tokenizer where the cache outlives them
   */
  public PromptCache(TensorCache cache, PromptEncoder encoder, String weights) {
    this.cache = cache;
    this.encoder = encoder;
    this.shapes = encoder.shapes(1);
    this.how = " " + VERSION + ", " + encoder.described(weights) + " of ";
  }

  @Override
  public TensorCache cache() {
    return cache;
  }

  @Override
  public List<String> missing(Collection<String> prompts) {
    return prompts.stream().filter(prompt -> !has(prompt)).toList();
  }

  private boolean has(String prompt) {
    return shapes.named().keySet().stream().allMatch(name -> cache.has(content(name, prompt)));
  }

  /** All but the prompt that decides what one becomes, in a line. */
  public String described() {
    return how;
  }

  private String content(String name, String prompt) {
    return name + how + Sha256.of(prompt);
  }

  @Override
  public void fill(String prompt) {
    Conditioning.release(get(prompt));
  }

  /** Of one prompt, as {@link PromptEncoder#shapes} has it; held by the caller. */
  public Conditioning<Tensor> get(String prompt) {
    return shapes.map(
        (name, shape) -> cache.get(content(name, prompt), shape, () -> encode(name, prompt)));
  }

  /** Encodes a prompt once for all names: what the others become is put into the cache too. */
  private Tensor encode(String wanted, String prompt) {
    Conditioning<Tensor> all = encoder.encode(cache.arena(), List.of(prompt));
    shapes.forEach(
        (name, shape) -> {
          if (!name.equals(wanted)) {
            cache.get(content(name, prompt), shape, () -> all.get(name).retain()).release();
          }
        });
    all.without(wanted).forEach((name, tensor) -> tensor.release());
    return all.get(wanted);
  }

  /** Of several prompts, a row each, in {@code step}; held by the caller. */
  public Conditioning<Tensor> get(Arena step, List<String> prompts) {
    List<Conditioning<Tensor>> rows = new ArrayList<>();
    try {
      prompts.forEach(prompt -> rows.add(get(prompt)));
      return Conditioning.stack(step, rows);
    } finally {
      rows.forEach(Conditioning::release);
    }
  }
}
