package dreambooth4j.model;

import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.Convert;
import dreambooth4j.engine.op.PadEnd;
import dreambooth4j.engine.op.Reshape;
import dreambooth4j.engine.op.UpsampleNearest;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * diffusers' {@code AutoencoderKL}: pictures to the moments of their latents, and latents to
 * pictures.
 */
public final class Vae {
  private static final double EPSILON = 1e-6;

  private final VaeConfig config;
  private final Parameters parameters;
  private final Conv encoderIn;
  private final List<Level> down = new ArrayList<>();
  private final Middle encoderMiddle;
  private final ChannelNorm encoderNorm;
  private final Conv encoderOut;
  private final @Nullable Dense quant;
  private final @Nullable Dense postQuant;
  private final Conv decoderIn;
  private final Middle decoderMiddle;
  private final List<Level> up = new ArrayList<>();
  private final ChannelNorm decoderNorm;
  private final Conv decoderOut;

  private record Level(List<ResnetBlock> resnets, @Nullable Conv resize) {
    /** Adds its blocks, and what prepares its resizing, if it resizes. */
    void addTo(List<UnaryOperator<Var>> parts, Tape tape, UnaryOperator<Var> prepared) {
      resnets.forEach(each -> parts.add(x -> each.forward(tape, x, null)));
      if (resize != null) {
        parts.add(prepared);
        parts.add(x -> resize.forward(tape, x));
      }
    }
  }

  /** Declares its weights under diffusers' names. */
  public Vae(VaeConfig config, Parameters parameters) {
    this.config = config;
    this.parameters = parameters;
    Scope scope = Scope.of(parameters);
    List<Integer> channels = config.blockOutChannels();
    int levels = channels.size();
    int first = channels.get(0);
    int deepest = channels.get(levels - 1);

    Scope encoder = scope.in("encoder");
    encoderIn = encoder.conv("conv_in", config.inChannels(), first, 3, 1, 1);
    for (int i = 0; i < levels; i++) {
      Scope level = encoder.in("down_blocks", i);
      int out = channels.get(i);
      boolean last = i == levels - 1;
      down.add(
          new Level(
              resnets(level, channels.get(Math.max(0, i - 1)), out, config.layersPerBlock()),
              last ? null : level.conv("downsamplers.0.conv", out, out, 3, 2, 0)));
    }
    encoderMiddle = new Middle(encoder.in("mid_block"), deepest);
    encoderNorm = encoder.channelNorm("conv_norm_out", deepest, config.normGroups(), EPSILON);
    int latents = config.latentChannels();
    encoderOut = encoder.conv("conv_out", deepest, 2 * latents, 3, 1, 1);
    quant = config.quantConv() ? scope.pointwise("quant_conv", 2 * latents, 2 * latents) : null;
    postQuant =
        config.postQuantConv() ? scope.pointwise("post_quant_conv", latents, latents) : null;

    Scope decoder = scope.in("decoder");
    decoderIn = decoder.conv("conv_in", latents, deepest, 3, 1, 1);
    decoderMiddle = new Middle(decoder.in("mid_block"), deepest);
    for (int i = 0; i < levels; i++) {
      Scope level = decoder.in("up_blocks", i);
      int out = channels.get(levels - 1 - i);
      int in = channels.get(Math.min(levels - 1, levels - i));
      boolean last = i == levels - 1;
      up.add(
          new Level(
              resnets(level, in, out, config.layersPerBlock() + 1),
              last ? null : level.conv("upsamplers.0.conv", out, out, 3, 1, 1)));
    }
    decoderNorm = decoder.channelNorm("conv_norm_out", first, config.normGroups(), EPSILON);
    decoderOut = decoder.conv("conv_out", first, config.outChannels(), 3, 1, 1);
  }

  private List<ResnetBlock> resnets(Scope scope, int in, int out, int count) {
    List<ResnetBlock> list = new ArrayList<>();
    for (int j = 0; j < count; j++) {
      list.add(resnet(scope.in("resnets", j), j == 0 ? in : out, out));
    }
    return list;
  }

  private ResnetBlock resnet(Scope scope, int in, int out) {
    return new ResnetBlock(scope, in, out, 0, config.normGroups(), EPSILON);
  }

  /** Its settings. */
  public VaeConfig config() {
    return config;
  }

  /**
   * Pictures to moments, not scaled.
   *
   * @param pictures [B, H, W, 3] in −1..1, sides multiples of the config's factor
   * @return mean and logarithm of the variance, [B, H/factor, W/factor, 2 · latent channels], of
   *     the pictures' type
   */
  public Var encode(Tape tape, Var pictures) {
    List<UnaryOperator<Var>> parts = new ArrayList<>();
    parts.add(x -> Convert.apply(tape, x, parameters.computeType()));
    parts.add(x -> encoderIn.forward(tape, x));
    down.forEach(level -> level.addTo(parts, tape, x -> PadEnd.apply(tape, x)));
    encoderMiddle.addTo(parts, tape);
    parts.add(x -> encoderNorm.silu(tape, x));
    parts.add(x -> encoderOut.forward(tape, x));
    if (quant != null) {
      parts.add(x -> quant.forward(tape, x));
    }
    parts.add(x -> Convert.apply(tape, x, pictures.value().dtype()));
    return tape.chain(pictures, parts);
  }

  /**
   * Latents to pictures.
   *
   * @param latents [B, h, w, latent channels], already divided by the scaling factor
   * @return [B, h · factor, w · factor, 3] of the latents' type, about −1..1, not clamped
   */
  public Var decode(Tape tape, Var latents) {
    List<UnaryOperator<Var>> parts = new ArrayList<>();
    parts.add(x -> Convert.apply(tape, x, parameters.computeType()));
    if (postQuant != null) {
      parts.add(x -> postQuant.forward(tape, x));
    }
    parts.add(x -> decoderIn.forward(tape, x));
    decoderMiddle.addTo(parts, tape);
    up.forEach(
        level ->
            level.addTo(
                parts, tape, x -> UpsampleNearest.apply(tape, x, 2 * x.size(1), 2 * x.size(2))));
    parts.add(x -> decoderNorm.silu(tape, x));
    parts.add(x -> decoderOut.forward(tape, x));
    parts.add(x -> Convert.apply(tape, x, latents.value().dtype()));
    return tape.chain(latents, parts);
  }

  /** Residual block, attention of one head over all pixels, residual block. */
  private final class Middle {
    private final ResnetBlock resnet1;
    private final @Nullable ChannelNorm norm;
    private final @Nullable AttentionLayer attention;
    private final ResnetBlock resnet2;

    Middle(Scope scope, int width) {
      resnet1 = resnet(scope.in("resnets", 0), width, width);
      if (config.middleAttention()) {
        Scope own = scope.in("attentions", 0);
        norm = own.channelNorm("group_norm", width, config.normGroups(), EPSILON);
        attention = AttentionLayer.of(own, AttentionLayer.Names.VAE, width, width, 1);
      } else {
        norm = null;
        attention = null;
      }
      resnet2 = resnet(scope.in("resnets", 1), width, width);
    }

    void addTo(List<UnaryOperator<Var>> parts, Tape tape) {
      parts.add(x -> resnet1.forward(tape, x, null));
      if (norm != null && attention != null) {
        parts.add(x -> attended(tape, x, norm, attention));
      }
      parts.add(x -> resnet2.forward(tape, x, null));
    }

    private static Var attended(Tape tape, Var x, ChannelNorm norm, AttentionLayer attention) {
      return tape.block(
          () -> {
            long[] image = x.value().shape();
            Var tokens =
                Reshape.apply(tape, norm.forward(tape, x), image[0], image[1] * image[2], image[3]);
            Var out = attention.forward(tape, tokens, tokens, false);
            return Add.apply(tape, x, Reshape.apply(tape, out, image));
          });
    }
  }
}
