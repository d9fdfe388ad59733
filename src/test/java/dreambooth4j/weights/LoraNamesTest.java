package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LoraNamesTest {
  /** The layers that the names are counted by, of SDXL's UNet: three levels, the first plain. */
  private static Map<String, long[]> sdxl() {
    Map<String, long[]> unet = new LinkedHashMap<>();
    unet.put("add_embedding.linear_1.weight", new long[] {8, 8});
    unet.put("conv_in.weight", new long[] {8, 4, 3, 3});
    for (int level = 0; level < 3; level++) {
      for (int i = 0; i < 3; i++) {
        block(unet, "up_blocks." + level, i, level < 2);
        if (i < 2) {
          block(unet, "down_blocks." + level, i, level > 0);
        }
      }
      unet.put("down_blocks.%d.downsamplers.0.conv.weight".formatted(level), new long[4]);
      unet.put("up_blocks.%d.upsamplers.0.conv.weight".formatted(level), new long[4]);
    }
    block(unet, "mid_block", 0, true);
    block(unet, "mid_block", 1, false);
    return unet;
  }

  private static void block(Map<String, long[]> unet, String block, int i, boolean attends) {
    for (String each : new String[] {"conv1", "conv2", "time_emb_proj", "conv_shortcut"}) {
      unet.put("%s.resnets.%d.%s.weight".formatted(block, i, each), new long[4]);
    }
    if (attends) {
      String attention = "%s.attentions.%d.".formatted(block, i);
      unet.put(attention + "proj_in.weight", new long[2]);
      unet.put(attention + "transformer_blocks.0.attn1.to_q.weight", new long[2]);
      unet.put(attention + "transformer_blocks.1.ff.net.0.proj.weight", new long[2]);
    }
  }

  private static LoraNames names() {
    Map<String, long[]> text = Map.of("encoder.layers.3.self_attn.out_proj.weight", new long[2]);
    return new LoraNames(
        ModelLayers.of(Map.of(Component.UNET, sdxl(), Component.TEXT_ENCODER, text)));
  }

  @ParameterizedTest
  @CsvSource({
    "conv_in, input_blocks_0_0",
    "down_blocks.0.resnets.1.conv1, input_blocks_2_0_in_layers_2",
    "down_blocks.0.downsamplers.0.conv, input_blocks_3_0_op",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q,"
        + " input_blocks_4_1_transformer_blocks_0_attn1_to_q",
    "down_blocks.1.resnets.0.time_emb_proj, input_blocks_4_0_emb_layers_1",
    "down_blocks.2.attentions.1.transformer_blocks.1.ff.net.0.proj,"
        + " input_blocks_8_1_transformer_blocks_1_ff_net_0_proj",
    "mid_block.resnets.0.conv2, middle_block_0_out_layers_3",
    "mid_block.attentions.0.proj_in, middle_block_1_proj_in",
    "mid_block.resnets.1.conv1, middle_block_2_in_layers_2",
    "up_blocks.0.upsamplers.0.conv, output_blocks_2_2_conv",
    "up_blocks.1.upsamplers.0.conv, output_blocks_5_2_conv",
    "up_blocks.2.resnets.2.conv_shortcut, output_blocks_8_0_skip_connection",
  })
  void shouldCallSdxlsLayersAsTheOriginalUNetDoes(String ours, String theirs) {
    LoraNames.Layer layer = new LoraNames.Layer(Component.UNET, ours);

    assertThat(names().kohya(layer)).isEqualTo("lora_unet_" + theirs);
    assertThat(names().layer("lora_unet_" + theirs)).isEqualTo(layer);
    assertThat(names().layer("lora_unet_" + ours.replace('.', '_'))).isEqualTo(layer);
    assertThat(names().layer("unet." + ours)).isEqualTo(layer);
  }

  @Test
  void shouldKnowATextEncodersLayerByEveryName() {
    LoraNames names = names();
    LoraNames.Layer layer =
        new LoraNames.Layer(Component.TEXT_ENCODER, "encoder.layers.3.self_attn.out_proj");

    assertThat(names.kohya(layer))
        .isEqualTo("lora_te1_text_model_encoder_layers_3_self_attn_out_proj");
    for (String each :
        new String[] {
          "lora_te_text_model_encoder_layers_3_self_attn_out_proj",
          "lora_te1_encoder_layers_3_self_attn_out_proj",
          "text_encoder.text_model.encoder.layers.3.self_attn.out_proj",
          "text_encoder.encoder.layers.3.self_attn.out_proj",
          "text_encoder.text_model.encoder.layers.3.self_attn.to_out"
        }) {
      assertThat(names.layer(each)).as(each).isEqualTo(layer);
    }
    assertThat(names.layer("lora_te2_text_model_encoder_layers_3_self_attn_out_proj")).isNull();
  }
}
