package dreambooth4j.weights;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Names of a UNet's parts. The original numbers what comes one after the other on the way down, and
 * again on the way up, where diffusers has levels.
 *
 * @param levels how many levels there are
 * @param layers residual blocks of each level on the way down; there is one more on the way up
 * @param upAttention whether a level attends on the way up, in the order of the way up: its
 *     upsampler then comes third in its block, else second
 */
record UNetNames(int levels, int layers, List<Boolean> upAttention) {
  private static final Map<String, String> OUTSIDE =
      Map.of(
          "conv_in", "input_blocks.0.0",
          "time_embedding.linear_1", "time_embed.0",
          "time_embedding.linear_2", "time_embed.2",
          "add_embedding.linear_1", "label_emb.0.0",
          "add_embedding.linear_2", "label_emb.0.2",
          "conv_norm_out", "out.0",
          "conv_out", "out.2");

  private static final Map<String, String> RESNET =
      Map.of(
          "norm1", "in_layers.0",
          "conv1", "in_layers.2",
          "time_emb_proj", "emb_layers.1",
          "norm2", "out_layers.0",
          "conv2", "out_layers.3",
          "conv_shortcut", "skip_connection");

  /**
   * Of a UNet with this configuration.
   *
   * @param where names the file in errors
   * @throws Problem when its levels are not alike, which the original's numbers cannot say
   */
  static UNetNames of(JsonNode config, String where) {
    JsonNode layers = config.path("layers_per_block");
    if (layers.isArray()) {
      Set<Integer> different = new TreeSet<>();
      layers.forEach(each -> different.add(each.asInt()));
      if (different.size() != 1) {
        throw Problem.data(
            "%s: layers_per_block %s: only a UNet with as many layers in each level can be a single file"
                .formatted(where, layers));
      }
      layers = layers.path(0);
    }
    List<Boolean> attention = new ArrayList<>();
    config.path("up_block_types").forEach(t -> attention.add(t.asText().startsWith("CrossAttn")));
    int levels = config.path("block_out_channels").size();
    if (attention.size() != levels) {
      throw Problem.data(
          "%s: up_block_types has %d entries, but there are %d levels"
              .formatted(where, attention.size(), levels));
    }
    return new UNetNames(levels, layers.asInt(2), attention);
  }

  /** Where the down path of a level begins, in the original's numbers. */
  int firstInput(int level) {
    return (layers + 1) * level + 1;
  }

  /** The table of all names. */
  NameTable table() {
    NameTable table = new NameTable();
    OUTSIDE.forEach(table::add);
    for (int i = 0; i < levels; i++) {
      for (int j = 0; j < layers; j++) {
        String theirs = "input_blocks." + (firstInput(i) + j);
        layer(table, "down_blocks." + i, j, theirs, true);
      }
      if (i < levels - 1) {
        String theirs = "input_blocks." + (firstInput(i) + layers) + ".0.op";
        table.add("down_blocks." + i + ".downsamplers.0.conv", theirs);
      }
      for (int j = 0; j <= layers; j++) {
        String theirs = "output_blocks." + ((layers + 1) * i + j);
        layer(table, "up_blocks." + i, j, theirs, upAttention.get(i));
      }
      if (i < levels - 1) {
        String last = "output_blocks." + ((layers + 1) * i + layers);
        String theirs = last + (upAttention.get(i) ? ".2" : ".1");
        table.add("up_blocks." + i + ".upsamplers.0", theirs);
      }
    }
    return table
        .addAll("mid_block.resnets.0", "middle_block.0", RESNET)
        .add("mid_block.attentions.0", "middle_block.1")
        .addAll("mid_block.resnets.1", "middle_block.2", RESNET);
  }

  private static void layer(
      NameTable table, String ours, int number, String theirs, boolean attends) {
    table.addAll(ours + ".resnets." + number, theirs + ".0", RESNET);
    if (attends) {
      table.add(ours + ".attentions." + number, theirs + ".1");
    }
  }
}
