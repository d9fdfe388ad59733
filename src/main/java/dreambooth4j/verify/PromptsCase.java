package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Prompts to what the UNet is told of them: of SDXL all of it, with negative prompts and without;
 * of Stable Diffusion 1 and 2 each token's first channel, in one window and in several.
 */
final class PromptsCase {
  private PromptsCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    if (golden.settings().has("variants")) {
      golden
          .setting("variants")
          .properties()
          .forEach(each -> variant(arena, model, golden, each.getKey(), each.getValue()));
      return;
    }
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

  /** As diffusers' {@code StableDiffusionXLPipeline.encode_prompt} was called. */
  private static void variant(
      Arena arena, StableDiffusion model, Golden golden, String name, JsonNode how) {
    List<String> prompts = texts(how.path("prompt"));
    PromptEncoder encoder = new PromptEncoder(model, encoding(how));
    compare(
        arena,
        golden,
        "output." + name + ".",
        encoded(arena, encoder, prompts, texts(how.path("prompt_2"))));
    PromptEncoder usual = new PromptEncoder(model, TextEncoding.USUAL);
    List<Conditioning<Tensor>> negative = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      negative.add(
          how.has("negative_prompt_2")
              ? encoded(
                  arena,
                  usual,
                  texts(how.path("negative_prompt")),
                  texts(how.path("negative_prompt_2")))
              : encoder.encodeNegative(arena, negative(how)));
    }
    compare(arena, golden, "output." + name + ".negative_", Conditioning.stack(arena, negative));
  }

  /** As diffusers counts skipped layers: none is left out where it says nothing, or 0. */
  static TextEncoding encoding(JsonNode how) {
    return new TextEncoding(
        1 + how.path("clip_skip").asInt(0), TextEncoding.USUAL.maxTokenLength());
  }

  /** None is zeros in the model's own configuration; the case may say that it is a text. */
  private static @Nullable String negative(JsonNode how) {
    String otherwise = how.path("force_zeros_for_empty_prompt").asBoolean(true) ? null : "";
    return how.has("negative_prompt") ? how.path("negative_prompt").asText() : otherwise;
  }

  private static List<String> texts(JsonNode one) {
    List<String> texts = new ArrayList<>();
    if (one.isTextual()) {
      texts.add(one.asText());
    }
    one.forEach(each -> texts.add(each.asText()));
    return texts;
  }

  /** Prompts, and perhaps other ones for the second text encoder. */
  private static Conditioning<Tensor> encoded(
      Arena arena, PromptEncoder encoder, List<String> prompts, List<String> second) {
    Conditioning<Tensor> tokens = encoder.tokens(arena, prompts);
    if (!second.isEmpty()) {
      Tensor others = encoder.tokens(arena, second).get(Conditioning.TOKENS_2);
      tokens = tokens.with(Conditioning.TOKENS_2, others);
    }
    try (Tape tape = Tape.inference(arena)) {
      return encoder.encode(tape, tokens).map((name, value) -> value.value().retain());
    }
  }

  private static void compare(
      Arena arena, Golden golden, String prefix, Conditioning<Tensor> ours) {
    golden.output(arena, prefix + "prompt_embeds", ours.hiddenStates().toFloats(), Limits.OUTPUT);
    golden.output(
        arena,
        prefix + "pooled_prompt_embeds",
        ours.get(Conditioning.POOLED).toFloats(),
        Limits.OUTPUT);
  }
}
