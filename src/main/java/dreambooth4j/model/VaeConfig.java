package dreambooth4j.model;

import static dreambooth4j.model.ComponentConfig.MOST_CHANNELS;
import static dreambooth4j.model.ComponentConfig.MOST_LAYERS;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.Printable;
import java.util.Collections;
import java.util.List;

/**
 * The settings of an {@code AutoencoderKL} that we build, from its config.json.
 *
 * @param scalingFactor what latents are multiplied with before they are diffused
 * @param forceUpcast whether 16 bits do not suffice to compute with it
 */
public record VaeConfig(
    int inChannels,
    int outChannels,
    int latentChannels,
    List<Integer> blockOutChannels,
    int layersPerBlock,
    int normGroups,
    double scalingFactor,
    boolean middleAttention,
    boolean quantConv,
    boolean postQuantConv,
    int sampleSize,
    boolean forceUpcast) {

  /** Reads it; {@code where} names the file in errors. An unsupported value is refused by name. */
  public static VaeConfig of(JsonNode json, String where) {
    ComponentConfig c = new ComponentConfig(json, where);
    c.only("act_fn", "\"silu\"", "\"swish\"");
    c.only("shift_factor", "null", "0", "0.0");
    List<Integer> channels = c.integers("block_out_channels", MOST_CHANNELS);
    levels(c, "down_block_types", "DownEncoderBlock2D", channels.size());
    levels(c, "up_block_types", "UpDecoderBlock2D", channels.size());
    VaeConfig config =
        new VaeConfig(
            c.integer("in_channels", 3, MOST_CHANNELS),
            c.integer("out_channels", 3, MOST_CHANNELS),
            c.integer("latent_channels", 4, MOST_CHANNELS),
            channels,
            c.integer("layers_per_block", 1, MOST_LAYERS),
            c.integer("norm_num_groups", 32, MOST_CHANNELS),
            c.number("scaling_factor", 0.18215, 1e-6, 1e6),
            c.flag("mid_block_add_attention", true),
            c.flag("use_quant_conv", true),
            c.flag("use_post_quant_conv", true),
            c.integer("sample_size", 512, MOST_CHANNELS),
            c.flag("force_upcast", true));
    c.requireGroups(channels, config.normGroups);
    if (config.inChannels != 3 || config.outChannels != 3) {
      throw c.wrong(
          "in_channels and out_channels must be 3 (red, green, blue), found %d and %d"
              .formatted(config.inChannels, config.outChannels));
    }
    c.finish();
    return config;
  }

  private static void levels(ComponentConfig c, String key, String type, int levels) {
    if (!c.names(key).equals(Collections.nCopies(levels, type))) {
      throw c.wrong(
          "%s must be %d × %s, found %s"
              .formatted(key, levels, type, Printable.shortened(c.names(key))));
    }
  }

  /** Pixels of a picture's side for one of its latents': 8 in Stable Diffusion. */
  public int factor() {
    return 1 << (blockOutChannels.size() - 1);
  }
}
