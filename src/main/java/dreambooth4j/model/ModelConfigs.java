package dreambooth4j.model;

import dreambooth4j.Problem;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.Pipeline;
import dreambooth4j.weights.SizeCheck;
import dreambooth4j.weights.TensorSource;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * The configurations of a model's parts, which fit each other and, as far as there are any, the
 * headers of the weights. Whoever builds a model of them gets one of a sound size.
 *
 * @param textEncoders in the order in which the UNet is given their states
 */
public record ModelConfigs(
    UNetConfig unet, Map<Component, TextEncoderConfig> textEncoders, VaeConfig vae) {
  /** Channels that an inpainting UNet is given beside the noisy latents: a mask, and latents. */
  private static final int INPAINTING = 5;

  /** Channels that a UNet for depth maps is given beside the noisy latents. */
  private static final int DEPTH = 1;

  /**
   * Reads and compares them; of weights, only headers are read.
   *
   * @throws Problem that names the file and the key that does not fit
   */
  public static ModelConfigs read(ModelSource source) {
    Map<Component, TextEncoderConfig> texts = new EnumMap<>(Component.class);
    for (Component each : source.pipeline().textEncoders()) {
      texts.put(
          each, TextEncoderConfig.of(source.config(each), source.where(each), use(source, each)));
    }
    ModelConfigs configs =
        new ModelConfigs(
            UNetConfig.of(source.config(Component.UNET), source.where(Component.UNET)),
            Collections.unmodifiableMap(texts),
            VaeConfig.of(source.config(Component.VAE), source.where(Component.VAE)));
    check(source, Component.UNET, configs::checkUnet);
    texts.forEach(
        (component, config) -> check(source, component, each -> checkTextEncoder(config, each)));
    check(source, Component.VAE, configs::checkVae);
    configs.checkEachOther(source);
    return configs;
  }

  /** Of two text encoders the second pools, and neither gives its last layer's states. */
  private static TextEncoderConfig.Use use(ModelSource source, Component component) {
    if (source.pipeline() == Pipeline.STABLE_DIFFUSION) {
      return TextEncoderConfig.Use.NORMED;
    }
    return component == Component.TEXT_ENCODER
        ? TextEncoderConfig.Use.PENULTIMATE
        : TextEncoderConfig.Use.POOLED;
  }

  private static void check(
      ModelSource source, Component component, Consumer<SizeCheck> comparison) {
    if (source.hasWeights(component)) {
      try (TensorSource weights = source.weights(component)) {
        comparison.accept(new SizeCheck(component, weights, source.where(component)));
      }
    }
  }

  /**
   * Opens the tokenizer of one of its text encoders.
   *
   * @throws Problem when it is damaged, or gives what the text encoder cannot take
   */
  public Tokenizer tokenizer(ModelSource source, Component component) {
    TextEncoderConfig config = Objects.requireNonNull(textEncoders.get(component));
    return Tokenizer.open(
        source.files(component.tokenizer()),
        new Tokenizer.Limits(config.vocabulary(), config.length(), source.where(component)),
        AddedTokens.of(source.embeddings()));
  }

  private void checkUnet(SizeCheck check) {
    List<Integer> channels = unet.blockOutChannels();
    int levels = channels.size();
    check.count("block_out_channels", levels, "down_blocks.");
    check.count("block_out_channels", levels, "up_blocks.");
    check.size("in_channels", unet.inChannels(), "conv_in.weight", 1);
    check.size("out_channels", unet.outChannels(), "conv_out.weight", 0);
    for (int i = 0; i < levels; i++) {
      String down = "down_blocks." + i + ".";
      String up = "up_blocks." + (levels - 1 - i) + ".";
      int layers = unet.layersPerBlock().get(i);
      check.size("block_out_channels", channels.get(i), down + "resnets.0.conv1.weight", 0);
      check.count("layers_per_block", layers, down + "resnets.");
      check.count("layers_per_block", layers + 1, up + "resnets.");
      boolean attendsDown = unet.downAttention().get(i);
      boolean attendsUp = unet.upAttention().get(levels - 1 - i);
      check.count("down_block_types", attendsDown ? layers : 0, down + "attentions.");
      check.count("up_block_types", attendsUp ? layers + 1 : 0, up + "attentions.");
      if (attendsDown) {
        checkTransformers(check, unet.transformerLayers().get(i), down);
      }
      if (attendsUp) {
        checkTransformers(check, unet.transformerLayers().get(i), up);
      }
    }
    checkTransformers(check, unet.transformerLayers().get(levels - 1), "mid_block.");
    UNetConfig.Added added = unet.added();
    if (added != null) {
      check.size(
          "projection_class_embeddings_input_dim",
          added.width(),
          "add_embedding.linear_1.weight",
          1);
    }
    check.size(
        "cross_attention_dim",
        unet.crossAttentionDim(),
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
        1);
  }

  private static void checkTransformers(SizeCheck check, int layers, String block) {
    check.count("transformer_layers_per_block", layers, block + "attentions.0.transformer_blocks.");
  }

  private static void checkTextEncoder(TextEncoderConfig textEncoder, SizeCheck check) {
    String tokens = "embeddings.token_embedding.weight";
    check.size("vocab_size", textEncoder.vocabulary(), tokens, 0);
    check.size("hidden_size", textEncoder.width(), tokens, 1);
    String positions = "embeddings.position_embedding.weight";
    check.size("max_position_embeddings", textEncoder.length(), positions, 0);
    check.count("num_hidden_layers", textEncoder.layers(), "encoder.layers.");
    check.size("intermediate_size", textEncoder.feedWidth(), "encoder.layers.0.mlp.fc1.weight", 0);
    if (textEncoder.pooledWidth() > 0) {
      check.size("projection_dim", textEncoder.pooledWidth(), "text_projection.weight", 0);
    }
  }

  private void checkVae(SizeCheck check) {
    List<Integer> channels = vae.blockOutChannels();
    check.count("block_out_channels", channels.size(), "encoder.down_blocks.");
    check.count("block_out_channels", channels.size(), "decoder.up_blocks.");
    check.size("latent_channels", vae.latentChannels(), "decoder.conv_in.weight", 1);
    for (int i = 0; i < channels.size(); i++) {
      String down = "encoder.down_blocks." + i + ".resnets.";
      check.size("block_out_channels", channels.get(i), down + "0.conv1.weight", 0);
      check.count("layers_per_block", vae.layersPerBlock(), down);
      check.count(
          "layers_per_block", vae.layersPerBlock() + 1, "decoder.up_blocks." + i + ".resnets.");
    }
    int attentions = vae.middleAttention() ? 1 : 0;
    check.count("mid_block_add_attention", attentions, "encoder.mid_block.attentions.");
  }

  private void checkEachOther(ModelSource source) {
    String ofUnet = source.where(Component.UNET);
    String ofVae = source.where(Component.VAE);
    refuseOtherInputs(ofUnet);
    same(ofUnet, "in_channels", unet.inChannels(), ofVae, "latent_channels", vae.latentChannels());
    same(ofUnet, "out_channels", unet.outChannels(), ofUnet, "in_channels", unet.inChannels());
    int width = textEncoders.values().stream().mapToInt(TextEncoderConfig::width).sum();
    String ofText =
        textEncoders.keySet().stream().map(source::where).collect(Collectors.joining(" and "));
    same(ofUnet, "cross_attention_dim", unet.crossAttentionDim(), ofText, "hidden_size", width);
    int pooled = textEncoders.values().stream().mapToInt(TextEncoderConfig::pooledWidth).sum();
    UNetConfig.Added added = unet.added();
    same(
        ofUnet,
        "the pooled part of projection_class_embeddings_input_dim",
        added == null ? 0 : added.pooledWidth(),
        ofText,
        "projection_dim",
        pooled);
  }

  private void refuseOtherInputs(String ofUnet) {
    String kind =
        switch (unet.inChannels() - unet.outChannels()) {
          case INPAINTING -> "an inpainting model, which is given a mask and a masked picture";
          case DEPTH -> "a depth model, which is given a depth map";
          default -> "";
        };
    if (!kind.isEmpty()) {
      throw Problem.data(
          "%s: in_channels is %d: this is %s beside the latents. Such models are not trained here: take the base model that it was made from"
              .formatted(ofUnet, unet.inChannels(), kind));
    }
  }

  private static void same(
      String file, String key, int value, String otherFile, String otherKey, int otherValue) {
    if (value != otherValue) {
      throw Problem.data(
          "%s: %s is %d, but %s says that %s is %d: they must be the same"
              .formatted(file, key, value, otherFile, otherKey, otherValue));
    }
  }
}
