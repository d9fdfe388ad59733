package dreambooth4j.weights;

import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The names that the UNet's layers have in the original code of Stable Diffusion, of which kohya's
 * LoRAs for SDXL are made: blocks are counted through, in and out, whatever their level.
 */
final class OriginalUNet {
  private static final Pattern DOWN =
      Pattern.compile("down_blocks\\.(\\d+)\\.(resnets|attentions|downsamplers)\\.(\\d+)\\.(.+)");
  private static final Pattern UP =
      Pattern.compile("up_blocks\\.(\\d+)\\.(resnets|attentions|upsamplers)\\.(\\d+)\\.(.+)");
  private static final Pattern MIDDLE =
      Pattern.compile("mid_block\\.(resnets|attentions)\\.(\\d+)\\.(.+)");

  /** Names of the layers here. */
  private final Set<String> layers;

  OriginalUNet(Set<String> layers) {
    this.layers = layers;
  }

  /** The original name of a layer; as it is where it has no other. */
  String name(String layer) {
    Matcher down = DOWN.matcher(layer);
    if (down.matches()) {
      return down(number(down, 1), down.group(2), number(down, 3), down.group(4));
    }
    Matcher up = UP.matcher(layer);
    if (up.matches()) {
      return up(number(up, 1), up.group(2), number(up, 3), up.group(4));
    }
    Matcher middle = MIDDLE.matcher(layer);
    if (middle.matches()) {
      boolean attends = middle.group(1).equals("attentions");
      int block = attends ? 1 : 2 * number(middle, 2);
      return "middle_block.%d.%s".formatted(block, inBlock(middle.group(1), middle.group(3)));
    }
    return switch (layer) {
      case "conv_in" -> "input_blocks.0.0";
      case "time_embedding.linear_1" -> "time_embed.0";
      case "time_embedding.linear_2" -> "time_embed.2";
      case "add_embedding.linear_1" -> "label_emb.0.0";
      case "add_embedding.linear_2" -> "label_emb.0.2";
      case "conv_out" -> "out.2";
      default -> layer;
    };
  }

  private String down(int level, String kind, int index, String rest) {
    int block = 1;
    for (int i = 0; i < level; i++) {
      block += resnets("down_blocks", i) + 1; // each level but the last ends with a downsampler
    }
    return switch (kind) {
      case "resnets" -> "input_blocks.%d.0.%s".formatted(block + index, inBlock(kind, rest));
      case "attentions" -> "input_blocks.%d.1.%s".formatted(block + index, rest);
      default -> "input_blocks.%d.0.op".formatted(block + resnets("down_blocks", level));
    };
  }

  private String up(int level, String kind, int index, String rest) {
    int block = 0;
    for (int i = 0; i < level; i++) {
      block += resnets("up_blocks", i);
    }
    return switch (kind) {
      case "resnets" -> "output_blocks.%d.0.%s".formatted(block + index, inBlock(kind, rest));
      case "attentions" -> "output_blocks.%d.1.%s".formatted(block + index, rest);
      default -> {
        boolean attends = layers.contains("up_blocks.%d.attentions.0.proj_in".formatted(level));
        int last = block + resnets("up_blocks", level) - 1;
        yield "output_blocks.%d.%d.%s".formatted(last, attends ? 2 : 1, rest);
      }
    };
  }

  private int resnets(String blocks, int level) {
    int count = 0;
    while (layers.contains("%s.%d.resnets.%d.conv1".formatted(blocks, level, count))) {
      count++;
    }
    return count;
  }

  private static String inBlock(String kind, String layer) {
    if (!kind.equals("resnets")) {
      return layer;
    }
    return switch (layer) {
      case "conv1" -> "in_layers.2";
      case "conv2" -> "out_layers.3";
      case "time_emb_proj" -> "emb_layers.1";
      case "conv_shortcut" -> "skip_connection";
      default -> layer;
    };
  }

  private static int number(Matcher matcher, int group) {
    return Integer.parseInt(matcher.group(group));
  }
}
