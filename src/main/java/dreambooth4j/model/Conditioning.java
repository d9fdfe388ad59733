package dreambooth4j.model;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;

/**
 * What a UNet is told of a picture beside its noisy latents and its timestep, by name; the first
 * axis of each is the batch. Stable Diffusion 1 and 2 have {@link #HIDDEN_STATES} alone, SDXL has
 * {@link #POOLED} and {@link #SIZES} too.
 *
 * @param <T> tensors in caches and batches, variables on a tape, shapes in a plan
 */
public record Conditioning<T>(Map<String, T> named) {
  /** What the text encoders make of prompts, side by side: [B, tokens, cross_attention_dim]. */
  public static final String HIDDEN_STATES = "hidden states";

  /** One vector for each prompt, of the text encoder with a projection: [B, width]. */
  public static final String POOLED = "pooled text";

  /**
   * What was done to a picture, in pixels: [B, 6], height and width of the file, top and left of
   * the crop, height and width that is trained.
   */
  public static final String SIZES = "picture sizes";

  /**
   * Token ids, I64 [B · windows, length]: what a batch has in place of hidden states and pooled
   * text where a text encoder trains.
   */
  public static final String TOKENS = "token ids";

  /** Those of a second text encoder. */
  public static final String TOKENS_2 = "token ids of text_encoder_2";

  /** Copies the map, in its order. */
  public Conditioning {
    named = Collections.unmodifiableMap(new LinkedHashMap<>(named));
  }

  /** Of hidden states alone. */
  public static <T> Conditioning<T> of(T hiddenStates) {
    return new Conditioning<>(Map.of(HIDDEN_STATES, hiddenStates));
  }

  /** Rows of several, each with the same names: held by the caller in {@code arena}. */
  public static Conditioning<Tensor> stack(Arena arena, List<Conditioning<Tensor>> parts) {
    return parts
        .get(0)
        .map((name, first) -> Tensor.stack(arena, parts.stream().map(p -> p.get(name)).toList()));
  }

  /** Lets go of tensors that the caller holds. */
  public static void release(Conditioning<Tensor> held) {
    held.forEach((name, tensor) -> tensor.release());
  }

  /** The value of this name, which must be there. */
  public T get(String name) {
    T value = named.get(name);
    if (value == null) {
      throw new IllegalStateException("expected " + name + ", found " + named.keySet());
    }
    return value;
  }

  /** These and one more, behind them. */
  public Conditioning<T> with(String name, T value) {
    Map<String, T> more = new LinkedHashMap<>(named);
    more.put(name, value);
    return new Conditioning<>(more);
  }

  /** These without some, of which there may be none. */
  public Conditioning<T> without(String... names) {
    Map<String, T> fewer = new LinkedHashMap<>(named);
    fewer.keySet().removeAll(List.of(names));
    return new Conditioning<>(fewer);
  }

  /** As {@link #HIDDEN_STATES} says. */
  public T hiddenStates() {
    return get(HIDDEN_STATES);
  }

  /** Something else of each, under the same names. */
  public <R> Conditioning<R> map(BiFunction<String, T, R> each) {
    Map<String, R> mapped = new LinkedHashMap<>();
    named.forEach((name, value) -> mapped.put(name, each.apply(name, value)));
    return new Conditioning<>(mapped);
  }

  /** Goes through all in order. */
  public void forEach(BiConsumer<String, T> each) {
    named.forEach(each);
  }
}
