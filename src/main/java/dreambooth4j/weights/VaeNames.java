package dreambooth4j.weights;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;

/**
 * Names of a VAE's parts. The original counts the decoder's levels from the picture, diffusers from
 * the latents, and its attention is of 1×1 convolutions.
 */
record VaeNames(int levels, int layers) {
  private static final Map<String, String> RESNET =
      Map.of(
          "norm1", "norm1",
          "conv1", "conv1",
          "norm2", "norm2",
          "conv2", "conv2",
          "conv_shortcut", "nin_shortcut");

  private static final Map<String, String> PROJECTIONS =
      Map.of("to_q", "q", "to_k", "k", "to_v", "v", "to_out.0", "proj_out");

  /** Of a VAE with this configuration. */
  static VaeNames of(JsonNode config) {
    return new VaeNames(
        config.path("block_out_channels").size(), config.path("layers_per_block").asInt(1));
  }

  /** The table of all names. */
  NameTable table() {
    NameTable table = new NameTable();
    for (String half : new String[] {"encoder", "decoder"}) {
      table.add(half + ".conv_in", half + ".conv_in");
      table.add(half + ".conv_norm_out", half + ".norm_out");
      table.add(half + ".conv_out", half + ".conv_out");
      String middle = half + ".mid_block.";
      table.addAll(middle + "resnets.0", half + ".mid.block_1", RESNET);
      table.addAll(middle + "resnets.1", half + ".mid.block_2", RESNET);
      table.add(middle + "attentions.0.group_norm", half + ".mid.attn_1.norm");
      PROJECTIONS.forEach(
          (ours, theirs) ->
              table.add(
                  middle + "attentions.0." + ours,
                  half + ".mid.attn_1." + theirs,
                  Layout.POINTWISE));
    }
    for (int i = 0; i < levels; i++) {
      int mirrored = levels - 1 - i;
      for (int j = 0; j <= layers; j++) {
        String decoder = "decoder.up_blocks." + i + ".resnets." + j;
        table.addAll(decoder, "decoder.up." + mirrored + ".block." + j, RESNET);
        if (j < layers) {
          String encoder = "encoder.down_blocks." + i + ".resnets." + j;
          table.addAll(encoder, "encoder.down." + i + ".block." + j, RESNET);
        }
      }
      table.add(
          "encoder.down_blocks." + i + ".downsamplers.0", "encoder.down." + i + ".downsample");
      table.add("decoder.up_blocks." + i + ".upsamplers.0", "decoder.up." + mirrored + ".upsample");
    }
    return table.add("quant_conv", "quant_conv").add("post_quant_conv", "post_quant_conv");
  }
}
