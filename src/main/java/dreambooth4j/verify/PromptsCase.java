package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import java.util.ArrayList;
import java.util.List;

/**
 * Texts to hidden states, in one window and in several: of each token's state the first channel.
 */
final class PromptsCase {
  private PromptsCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    List<String> prompts = new ArrayList<>();
    for (JsonNode each : golden.setting("prompts")) {
      prompts.add(each.asText());
    }
    for (String name : golden.names("output.")) {
      PromptEncoder encoder = new PromptEncoder(model, encoding(golden, name));
      Tensor states = encoder.encode(arena, prompts).hiddenStates();
      float[] all = states.toFloats();
      int width = (int) states.size(-1);
      float[] first = new float[all.length / width];
      for (int i = 0; i < first.length; i++) {
        first[i] = all[i * width];
      }
      golden.output(arena, name, first, Limits.OUTPUT);
      states.release();
    }
  }

  /** {@code output.<max_token_length>.<clip_skip>}. */
  private static TextEncoding encoding(Golden golden, String name) {
    if (!name.matches("output\\.\\d{1,3}\\.\\d{1,2}")) {
      throw golden.notUnderstood("tensor " + name);
    }
    List<String> parts = List.of(name.split("\\.", -1));
    return new TextEncoding(Integer.parseInt(parts.get(2)), Integer.parseInt(parts.get(1)));
  }
}
