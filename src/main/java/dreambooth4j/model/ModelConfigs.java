package dreambooth4j.model;

import dreambooth4j.Problem;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.SizeCheck;
import dreambooth4j.weights.TensorSource;
import java.util.List;
import java.util.function.Consumer;

/**
 * The configurations of a model's parts, which fit each other and, as far as there are any, the
 * headers of the weights. Whoever builds a model of them gets one of a sound size.
 */
public record ModelConfigs(UNetConfig unet, TextEncoderConfig textEncoder, VaeConfig vae) {
  /**
   * Reads and compares them; of weights, only headers are read.
   *
   * @throws Problem that names the file and the key that does not fit
   */
  public static ModelConfigs read(ModelSource source) {
    ModelConfigs configs =
        new ModelConfigs(
            UNetConfig.of(source.config(Component.UNET), source.where(Component.UNET)),
            TextEncoderConfig.of(
                source.config(Component.TEXT_ENCODER), source.where(Component.TEXT_ENCODER)),
            VaeConfig.of(source.config(Component.VAE), source.where(Component.VAE)));
    check(source, Component.UNET, configs::checkUnet);
    check(source, Component.TEXT_ENCODER, configs::checkTextEncoder);
    check(source, Component.VAE, configs::checkVae);
    configs.checkEachOther(source);
    return configs;
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
   * Opens the model's tokenizer.
   *
   * @throws Problem when it is damaged, or gives what the text encoder cannot take
   */
  public Tokenizer tokenizer(ModelSource source) {
    return Tokenizer.open(
        source.files(Component.TOKENIZER),
        new Tokenizer.Limits(
            textEncoder.vocabulary(), textEncoder.length(), source.where(Component.TEXT_ENCODER)));
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
    check.size(
        "cross_attention_dim",
        unet.crossAttentionDim(),
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
        1);
  }

  private static void checkTransformers(SizeCheck check, int layers, String block) {
    check.count("transformer_layers_per_block", layers, block + "attentions.0.transformer_blocks.");
  }

  private void checkTextEncoder(SizeCheck check) {
    String tokens = "embeddings.token_embedding.weight";
    check.size("vocab_size", textEncoder.vocabulary(), tokens, 0);
    check.size("hidden_size", textEncoder.width(), tokens, 1);
    String positions = "embeddings.position_embedding.weight";
    check.size("max_position_embeddings", textEncoder.length(), positions, 0);
    check.count("num_hidden_layers", textEncoder.layers(), "encoder.layers.");
    check.size("intermediate_size", textEncoder.feedWidth(), "encoder.layers.0.mlp.fc1.weight", 0);
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
    String ofText = source.where(Component.TEXT_ENCODER);
    same(ofUnet, "in_channels", unet.inChannels(), ofVae, "latent_channels", vae.latentChannels());
    same(ofUnet, "out_channels", unet.outChannels(), ofUnet, "in_channels", unet.inChannels());
    same(
        ofUnet,
        "cross_attention_dim",
        unet.crossAttentionDim(),
        ofText,
        "hidden_size",
        textEncoder.width());
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
