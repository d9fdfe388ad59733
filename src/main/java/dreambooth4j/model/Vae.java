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
    Var forward(Tape tape, Var x) {
      Var h = x;
      for (ResnetBlock each : resnets) {
        h = each.forward(tape, h, null);
      }
      return h;
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
    return tape.block(
        () -> {
          Var h = encoderIn.forward(tape, Convert.apply(tape, pictures, parameters.computeType()));
          for (Level level : down) {
            Var in = h;
            h = tape.block(() -> downsampled(tape, level, level.forward(tape, in)));
          }
          h = encoderMiddle.forward(tape, h);
          h = encoderOut.forward(tape, encoderNorm.silu(tape, h));
          Var moments = quant == null ? h : quant.forward(tape, h);
          return Convert.apply(tape, moments, pictures.value().dtype());
        });
  }

  private static Var downsampled(Tape tape, Level level, Var h) {
    return level.resize == null ? h : level.resize.forward(tape, PadEnd.apply(tape, h));
  }

  /**
   * Latents to pictures.
   *
   * @param latents [B, h, w, latent channels], already divided by the scaling factor
   * @return [B, h · factor, w · factor, 3] of the latents' type, about −1..1, not clamped
   */
  public Var decode(Tape tape, Var latents) {
    return tape.block(
        () -> {
          Var z = Convert.apply(tape, latents, parameters.computeType());
          Var h = decoderIn.forward(tape, postQuant == null ? z : postQuant.forward(tape, z));
          h = decoderMiddle.forward(tape, h);
          for (Level level : up) {
            Var in = h;
            h = tape.block(() -> upsampled(tape, level, level.forward(tape, in)));
          }
          Var pictures = decoderOut.forward(tape, decoderNorm.silu(tape, h));
          return Convert.apply(tape, pictures, latents.value().dtype());
        });
  }

  private static Var upsampled(Tape tape, Level level, Var h) {
    return level.resize == null
        ? h
        : level.resize.forward(tape, UpsampleNearest.apply(tape, h, 2 * h.size(1), 2 * h.size(2)));
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

    Var forward(Tape tape, Var x) {
      Var h = resnet1.forward(tape, x, null);
      if (norm != null && attention != null) {
        h = attended(tape, h, norm, attention);
      }
      return resnet2.forward(tape, h, null);
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
