package dreambooth4j.model;

import static dreambooth4j.model.ComponentConfig.MOST_CHANNELS;
import static dreambooth4j.model.ComponentConfig.MOST_LAYERS;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.Printable;
import dreambooth4j.Problem;

/**
 * The settings of a model that reads pictures, from its config.json: CLIP's or DINOv2's.
 *
 * @param kind which of them
 * @param size of the pictures that its positions are of, in pixels
 * @param patch pixels of a patch's side
 * @param projected width of CLIP's features; 0 for DINOv2, which has none apart
 */
public record VisionConfig(
    Kind kind,
    int width,
    int feedWidth,
    int layers,
    int heads,
    int size,
    int patch,
    Activation activation,
    double normEpsilon,
    int projected) {
  /** A family of models. */
  public enum Kind {
    /** OpenAI's and open_clip's. */
    CLIP,
    /** Meta's, without registers. */
    DINOV2
  }

  /**
   * Reads it.
   *
   * @param where names the file in errors
   * @throws Problem where it is of another model
   */
  public static VisionConfig of(JsonNode json, String where) {
    String type = json.path("model_type").asText();
    return switch (type) {
      case "clip" -> {
        if (!json.path("vision_config").isObject()) {
          throw Problem.data(where + ": expected vision_config, found none");
        }
        // transformers leaves the shared width out of the inner object, or writes it there too.
        int projected =
            new ComponentConfig(json, where).integer("projection_dim", 512, MOST_CHANNELS);
        yield clip(new ComponentConfig(json.path("vision_config"), where), projected);
      }
      case "clip_vision_model" -> {
        ComponentConfig c = new ComponentConfig(json, where);
        yield clip(c, c.integer("projection_dim", 512, MOST_CHANNELS));
      }
      case "dinov2" -> dino(new ComponentConfig(json, where));
      default ->
          throw Problem.data(
              "%s: model_type %s reads no pictures that we know; give the folder of a CLIP model (clip, clip_vision_model) or of DINOv2 (dinov2) from Hugging Face"
                  .formatted(where, type.isEmpty() ? "(none)" : Printable.shortened(type)));
    };
  }

  private static VisionConfig clip(ComponentConfig c, int projected) {
    c.only("num_channels", "3");
    return checked(
        c,
        new VisionConfig(
            Kind.CLIP,
            c.integer("hidden_size", 768, MOST_CHANNELS),
            c.integer("intermediate_size", 3072, MOST_CHANNELS),
            c.integer("num_hidden_layers", 12, MOST_LAYERS),
            c.integer("num_attention_heads", 12, MOST_CHANNELS),
            c.integer("image_size", 224, 1 << 12),
            c.integer("patch_size", 32, 1 << 10),
            Activation.ofClip(c),
            c.number("layer_norm_eps", 1e-5, 1e-12, 1),
            projected));
  }

  private static VisionConfig dino(ComponentConfig c) {
    c.only("hidden_act", "\"gelu\"");
    c.only("num_channels", "3");
    c.only("qkv_bias", "true");
    int width = c.integer("hidden_size", 768, MOST_CHANNELS);
    boolean gated = c.flag("use_swiglu_ffn", false);
    int feed = width * c.integer("mlp_ratio", 4, 64);
    return checked(
        c,
        new VisionConfig(
            Kind.DINOV2,
            width,
            gated ? (feed * 2 / 3 + 7) / 8 * 8 : feed,
            c.integer("num_hidden_layers", 12, MOST_LAYERS),
            c.integer("num_attention_heads", 12, MOST_CHANNELS),
            c.integer("image_size", 224, 1 << 12),
            c.integer("patch_size", 14, 1 << 10),
            gated ? Activation.SWIGLU : Activation.GELU,
            c.number("layer_norm_eps", 1e-6, 1e-12, 1),
            0));
  }

  private static VisionConfig checked(ComponentConfig c, VisionConfig config) {
    if (config.width % config.heads != 0) {
      throw c.wrong(
          "num_attention_heads %d does not divide hidden_size %d"
              .formatted(config.heads, config.width));
    }
    if (config.size < config.patch) {
      throw c.wrong(
          "patch_size %d is larger than image_size %d".formatted(config.patch, config.size));
    }
    return config;
  }

  /** Patches a side of the pictures that its positions are of. */
  int patches() {
    return size / patch;
  }
}
