package dreambooth4j.verify;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Conditioning;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a recorded UNet was told, under the names that diffusers has for it. */
final class Told {
  private static final Map<String, String> NAMES = new LinkedHashMap<>();

  static {
    NAMES.put(Conditioning.HIDDEN_STATES, "encoder_hidden_states");
    NAMES.put(Conditioning.POOLED, "text_embeds");
    NAMES.put(Conditioning.SIZES, "time_ids");
  }

  private Told() {}

  /** diffusers' name. */
  static String recorded(String name) {
    return NAMES.getOrDefault(name, name);
  }

  /** All that was recorded, its names behind {@code prefix}. */
  static Conditioning<Tensor> of(Arena arena, Golden golden, String prefix) {
    Map<String, Tensor> told = new LinkedHashMap<>();
    NAMES.forEach(
        (ours, theirs) -> {
          if (golden.has(prefix + theirs)) {
            told.put(ours, golden.input(arena, prefix + theirs));
          }
        });
    return new Conditioning<>(told);
  }
}
