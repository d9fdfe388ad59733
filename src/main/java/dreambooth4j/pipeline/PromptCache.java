package dreambooth4j.pipeline;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Hidden states of prompts, each computed once: for a text encoder that does not train. */
public final class PromptCache {
  private final Arena arena;
  private final PromptEncoder encoder;
  private final Map<String, Tensor> states = new HashMap<>();

  /** What it remembers is held in {@code arena}. */
  public PromptCache(Arena arena, PromptEncoder encoder) {
    this.arena = arena;
    this.encoder = encoder;
  }

  /** [B, tokens, width] in {@code step}, held by the caller. */
  public Tensor get(Arena step, List<String> prompts) {
    List<Tensor> rows = new ArrayList<>();
    for (String prompt : prompts) {
      rows.add(states.computeIfAbsent(prompt, p -> encoder.encode(arena, List.of(p))));
    }
    return Tensor.stack(step, rows);
  }
}
