package dreambooth4j.model;

import static dreambooth4j.model.ComponentConfig.MOST_CHANNELS;
import static dreambooth4j.model.ComponentConfig.MOST_LAYERS;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.engine.op.EndPlaces;

/**
 * The settings of a {@code CLIPTextModel} that we build, from its config.json.
 *
 * @param activation of the feed-forward: CLIP's quick GELU or GELU
 * @param length positions, that is tokens of a prompt
 * @param use what the UNet is told of what it says
 * @param pooledWidth of the pooled vector; 0 where there is none
 * @param endToken the token whose state is pooled; {@link EndPlaces#LARGEST} for the largest in a
 *     prompt
 */
public record TextEncoderConfig(
    int vocabulary,
    int width,
    int feedWidth,
    int layers,
    int heads,
    int length,
    Activation activation,
    double normEpsilon,
    Use use,
    int pooledWidth,
    int endToken) {
  /** What a UNet is told of what a text encoder says. */
  public enum Use {
    /** The last layer's states, normalised: in Stable Diffusion 1 and 2. */
    NORMED,
    /** The last layer but one's states as they are: of SDXL's first. */
    PENULTIMATE,
    /** That, and the last layer's normalised state of one token, projected: of SDXL's second. */
    POOLED
  }

  /**
   * Reads it. An unsupported value is refused by name.
   *
   * @param where names the file in errors
   */
  public static TextEncoderConfig of(JsonNode json, String where, Use use) {
    ComponentConfig c = new ComponentConfig(json, where);
    c.only("model_type", "\"clip_text_model\"");
    c.only("attention_dropout", "0", "0.0");
    c.only("dropout", "0", "0.0");
    TextEncoderConfig config =
        new TextEncoderConfig(
            c.integer("vocab_size", 49408, 1 << 20),
            c.integer("hidden_size", 512, MOST_CHANNELS),
            c.integer("intermediate_size", 2048, MOST_CHANNELS),
            c.integer("num_hidden_layers", 12, MOST_LAYERS),
            c.integer("num_attention_heads", 8, MOST_CHANNELS),
            c.integer("max_position_embeddings", 77, 1 << 12),
            Activation.ofClip(c),
            c.number("layer_norm_eps", 1e-5, 1e-12, 1),
            use,
            use == Use.POOLED ? c.integer("projection_dim", 512, MOST_CHANNELS) : 0,
            c.integer("eos_token_id", 49407, 1 << 20));
    if (config.width % config.heads != 0) {
      throw c.wrong(
          "num_attention_heads %d does not divide hidden_size %d"
              .formatted(config.heads, config.width));
    }
    if (use != Use.NORMED && config.layers < 2) {
      throw c.wrong(
          "num_hidden_layers is %d, but the UNet is given the last layer but one"
              .formatted(config.layers));
    }
    // transformers records much that decides nothing here: token numbers (the tokenizer's affair),
    // generation defaults, initialisation. Older versions write dozens of such keys.
    return config;
  }
}
