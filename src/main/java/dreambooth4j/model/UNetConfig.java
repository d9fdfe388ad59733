package dreambooth4j.model;

import static dreambooth4j.model.ComponentConfig.MOST_CHANNELS;
import static dreambooth4j.model.ComponentConfig.MOST_LAYERS;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The settings of a {@code UNet2DConditionModel} that we build, from its config.json. Lists run
 * from the outermost level inwards.
 *
 * @param blockOutChannels channels of each level
 * @param layersPerBlock residual blocks of each level on the way down (one more on the way up)
 * @param heads attention heads of each level
 * @param transformerLayers transformer blocks of each attention of each level
 * @param downAttention whether a level attends on the way down
 * @param upAttention whether a level attends on the way up, in the order of the way up
 * @param cosineFirst {@code flip_sin_to_cos}
 * @param added what it is told beside the prompt's states; null in Stable Diffusion 1 and 2
 */
public record UNetConfig(
    int inChannels,
    int outChannels,
    List<Integer> blockOutChannels,
    List<Integer> layersPerBlock,
    List<Integer> heads,
    List<Integer> transformerLayers,
    List<Boolean> downAttention,
    List<Boolean> upAttention,
    int crossAttentionDim,
    int normGroups,
    double normEpsilon,
    boolean linearProjection,
    boolean cosineFirst,
    double frequencyShift,
    int sampleSize,
    @Nullable Added added) {
  /**
   * SDXL's {@code text_time}: a pooled vector of the prompt and six numbers on the picture's size.
   *
   * @param pooledWidth of the pooled vector
   * @param sizeWidth of each number's embedding
   */
  public record Added(int pooledWidth, int sizeWidth) {
    /** How many numbers say a picture's size. */
    public static final int SIZES = 6;

    /** Of the two together, as they enter the network. */
    int width() {
      return pooledWidth + SIZES * sizeWidth;
    }
  }

  /** Latents of a picture that is larger than any is made. */
  private static final int MOST_SIDE = 1024;

  /** Reads it; {@code where} names the file in errors. An unsupported value is refused by name. */
  public static UNetConfig of(JsonNode json, String where) {
    ComponentConfig c = new ComponentConfig(json, where);
    refuseOthers(c);
    List<Integer> channels = c.integers("block_out_channels", MOST_CHANNELS);
    int levels = channels.size();
    int groups = c.integer("norm_num_groups", 32, MOST_CHANNELS);
    // What diffusers calls attention_head_dim has always been the number of heads here.
    List<Integer> headDim = c.integersOrOne("attention_head_dim", levels, 8, MOST_CHANNELS);
    List<Integer> heads =
        c.isSet("num_attention_heads")
            ? c.integersOrOne("num_attention_heads", levels, 8, MOST_CHANNELS)
            : headDim;
    c.requireGroups(channels, groups);
    for (int i = 0; i < levels; i++) {
      if (channels.get(i) % heads.get(i) != 0) {
        throw c.wrong(
            "attention_head_dim (or num_attention_heads) %d does not divide block_out_channels %d"
                .formatted(heads.get(i), channels.get(i)));
      }
    }
    if (channels.get(0) % 2 != 0) {
      throw c.wrong(
          "block_out_channels begins with %d, but the time embedding needs an even number"
              .formatted(channels.get(0)));
    }
    UNetConfig config =
        new UNetConfig(
            c.integer("in_channels", 4, MOST_CHANNELS),
            c.integer("out_channels", 4, MOST_CHANNELS),
            channels,
            c.integersOrOne("layers_per_block", levels, 2, MOST_LAYERS),
            heads,
            c.integersOrOne("transformer_layers_per_block", levels, 1, MOST_LAYERS),
            attention(c, "down_block_types", levels, "CrossAttnDownBlock2D", "DownBlock2D"),
            attention(c, "up_block_types", levels, "CrossAttnUpBlock2D", "UpBlock2D"),
            c.integer("cross_attention_dim", 1280, MOST_CHANNELS),
            groups,
            c.number("norm_eps", 1e-5, 1e-12, 1),
            c.flag("use_linear_projection", false),
            c.flag("flip_sin_to_cos", true),
            c.number("freq_shift", 0, 0, 1),
            c.integer("sample_size", 64, MOST_SIDE),
            added(c));
    c.finish();
    return config;
  }

  private static @Nullable Added added(ComponentConfig c) {
    c.only("addition_embed_type", "null", "\"text_time\"");
    if (!c.isSet("addition_embed_type")) {
      return null;
    }
    int size = c.integer("addition_time_embed_dim", 256, MOST_CHANNELS);
    int width = c.integer("projection_class_embeddings_input_dim", 2816, MOST_CHANNELS);
    if (size % 2 != 0 || width <= Added.SIZES * size) {
      throw c.wrong(
          "projection_class_embeddings_input_dim %d has no room for %d times addition_time_embed_dim %d, which must be even, and a pooled vector"
              .formatted(width, Added.SIZES, size));
    }
    return new Added(width - Added.SIZES * size, size);
  }

  /**
   * The shapes of what it is told of so many pictures, by name; F32 all.
   *
   * @param tokens of each prompt
   */
  public Conditioning<long[]> conditioning(long rows, long tokens) {
    Conditioning<long[]> states = Conditioning.of(new long[] {rows, tokens, crossAttentionDim});
    return added == null
        ? states
        : states
            .with(Conditioning.POOLED, new long[] {rows, added.pooledWidth})
            .with(Conditioning.SIZES, new long[] {rows, Added.SIZES});
  }

  private static List<Boolean> attention(
      ComponentConfig c, String key, int levels, String attending, String plain) {
    c.each(key, List.of(attending, plain));
    List<String> types = c.names(key);
    if (types.size() != levels) {
      throw c.wrong(
          "%s has %d entries, but there are %d levels".formatted(key, types.size(), levels));
    }
    List<Boolean> flags = new ArrayList<>();
    types.forEach(type -> flags.add(type.equals(attending)));
    return flags;
  }

  private static void refuseOthers(ComponentConfig c) {
    c.only("act_fn", "\"silu\"", "\"swish\"");
    c.only("attention_type", "\"default\"");
    c.only("conv_in_kernel", "3");
    c.only("conv_out_kernel", "3");
    c.only("downsample_padding", "1");
    c.only("dropout", "0", "0.0");
    c.only("mid_block_scale_factor", "1", "1.0");
    c.only("mid_block_type", "\"UNetMidBlock2DCrossAttn\"");
    c.only("resnet_out_scale_factor", "1", "1.0");
    c.only("resnet_time_scale_shift", "\"default\"");
    c.only("time_embedding_type", "\"positional\"");
    // In F32 there is nothing to upcast; the width of an embedding that is off says nothing.
    c.ignore("upcast_attention", "addition_embed_type_num_heads");
  }
}
