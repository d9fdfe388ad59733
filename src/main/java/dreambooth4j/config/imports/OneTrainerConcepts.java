package dreambooth4j.config.imports;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.config.KeyTable.Fate;
import dreambooth4j.config.imports.Draft.Converter;
import dreambooth4j.config.imports.Draft.NotPossible;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The concepts and samples of a OneTrainer configuration. */
final class OneTrainerConcepts {
  private final Draft draft;

  OneTrainerConcepts(Draft draft) {
    this.draft = draft;
  }

  /** Adds those that are trained on. */
  void add(JsonNode concepts) {
    int number = 0;
    for (JsonNode each : concepts) {
      number++;
      String place = "concept %d: ".formatted(number);
      if (!each.isObject()) {
        draft.say(Fate.IMPOSSIBLE, place + each, "a concept is an object with a path: add it");
      } else if (!each.path("enabled").asBoolean(true)) {
        draft.say(Fate.CONVERTED, place + "enabled = false", "it is left out");
      } else if (!each.path("type").asText("STANDARD").equals("STANDARD")) {
        draft.say(
            Fate.IMPOSSIBLE,
            place + "type = " + each.path("type").asText(),
            "it is left out: prior: prediction takes the place of PRIOR_PREDICTION");
      } else {
        add(place, each);
      }
    }
  }

  private void add(String place, JsonNode concept) {
    Map<String, String> keys = new LinkedHashMap<>();
    flatten("concepts.", concept, keys);
    Map<String, String> made = new LinkedHashMap<>();
    keys.forEach((name, value) -> draft.take(place, name, value, converter(name, keys, made)));
    if (!made.isEmpty()) {
      draft.concept(made);
    }
  }

  private static void flatten(String prefix, JsonNode table, Map<String, String> values) {
    table
        .properties()
        .forEach(
            each -> {
              String name = prefix + each.getKey();
              boolean part = name.matches("concepts\\.(image|text)");
              if (part && each.getValue().isObject()) {
                flatten(name + ".", each.getValue(), values);
              } else {
                values.put(
                    name,
                    TomlValues.isScalar(each.getValue()) ? TomlValues.text(each.getValue()) : "");
              }
            });
  }

  /** How a concept's key is converted; its keys that are kept hold for the concept or the run. */
  private @Nullable Converter converter(
      String name, Map<String, String> keys, Map<String, String> made) {
    return switch (name.replaceFirst("concepts\\.(image\\.|text\\.)?", "")) {
      case "path" -> value -> put(made, "instance_data_dir", draft.path(value).toString());
      case "loss_weight" -> value -> put(made, "loss_weight", value);
      case "enabled", "type", "name", "include_subdirectories" ->
          value -> "it is a concept of ours";
      case "balancing" -> value -> balancing(value, keys, made);
      case "balancing_strategy" -> value -> "see balancing";
      case "prompt_source" -> value -> prompt(value, keys, made);
      case "prompt_path" -> value -> "see prompt_source";
      case "enable_crop_jitter" ->
          value -> put(made, "crop", value.equals("true") ? "random" : "center");
      case "tag_dropout_probability" -> value -> dropout(value, keys);
      case "tag_dropout_enable", "tag_dropout_mode" -> value -> "see tag_dropout_probability";
      case "resolution_override" ->
          value -> "it has an effect only if another key is switched on, which is off";
      case "enable_random_flip" -> value -> draft.put("hflip", value);
      case "enable_tag_shuffling" -> value -> draft.put("shuffle_tags", value);
      case "keep_tags_count" -> value -> draft.put("keep_tokens", value);
      default -> null;
    };
  }

  private static String balancing(String value, Map<String, String> keys, Map<String, String> made)
      throws NotPossible {
    boolean samples = "SAMPLES".equals(keys.get("concepts.balancing_strategy"));
    if (samples || !value.matches("[1-9]\\d*(\\.0*)?")) {
      throw new NotPossible("pictures are shown a whole number of times in an epoch: set repeats");
    }
    return put(made, "repeats", value.replaceFirst("\\..*", ""));
  }

  private String prompt(String source, Map<String, String> keys, Map<String, String> made)
      throws NotPossible {
    if (!source.equals("concept")) {
      return "caption files beside the pictures, or their names";
    }
    String file = keys.getOrDefault("concepts.text.prompt_path", "");
    if (file.isEmpty()) {
      throw new NotPossible("prompt_path names no file that has the prompt: set instance_prompt");
    }
    try {
      String first =
          Files.readString(draft.path(file), StandardCharsets.UTF_8).lines().findFirst().orElse("");
      return put(made, "instance_prompt", first.strip());
    } catch (IOException e) {
      throw new NotPossible(file + " cannot be read: set instance_prompt");
    }
  }

  private String dropout(String value, Map<String, String> keys) throws NotPossible {
    if (!"true".equals(keys.get("concepts.text.tag_dropout_enable"))) {
      return "it is off";
    }
    boolean full = "FULL".equals(keys.getOrDefault("concepts.text.tag_dropout_mode", "FULL"));
    return draft.put(full ? "caption_dropout_rate" : "caption_tag_dropout_rate", value);
  }

  private static String put(Map<String, String> concept, String key, String value) {
    concept.put(key, value);
    return key + ": " + value;
  }

  /** Sets the keys of samples by the first one that is enabled. */
  void addSample(JsonNode samples) {
    for (JsonNode each : samples) {
      if (each.path("enabled").asBoolean(true)) {
        draft.take("", "samples", each.path("prompt").asText(), prompt -> sample(each, prompt));
        return;
      }
    }
  }

  private String sample(JsonNode sample, String prompt) throws NotPossible {
    String set = draft.put("save_sample_prompt", prompt);
    if (!sample.path("negative_prompt").asText().isEmpty()) {
      draft.put("save_sample_negative_prompt", sample.path("negative_prompt").asText());
    }
    draft.put("save_guidance_scale", sample.path("cfg_scale").asDouble(7));
    draft.put("save_infer_steps", sample.path("diffusion_steps").asInt(20));
    if (!sample.path("random_seed").asBoolean()) {
      draft.put("sample_seed", sample.path("seed").asInt(42));
    }
    return set + ", " + SamplerNames.sampler(draft, sample.path("noise_scheduler").asText("DDIM"));
  }
}
