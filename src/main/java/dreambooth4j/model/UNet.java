package dreambooth4j.model;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.Concat;
import dreambooth4j.engine.op.Convert;
import dreambooth4j.engine.op.Reshape;
import dreambooth4j.engine.op.Silu;
import dreambooth4j.engine.op.Sinusoidal;
import dreambooth4j.engine.op.UpsampleNearest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * diffusers' {@code UNet2DConditionModel} of the Stable Diffusion 1, 2 and XL families: predicts
 * noise or velocity from noisy latents, a timestep and a prompt.
 */
public final class UNet {
  private final UNetConfig config;
  private final Dense time1;
  private final Dense time2;
  private final @Nullable AddedEmbedding added;
  private final Parameters parameters;
  private final Conv convIn;
  private final List<Level> down = new ArrayList<>();
  private final ResnetBlock middle1;
  private final SpatialTransformer middleAttention;
  private final ResnetBlock middle2;
  private final List<Level> up = new ArrayList<>();
  private final ChannelNorm normOut;
  private final Conv convOut;

  /** Blocks of one level; each attends after its residual block, or none does. */
  private record Level(
      List<ResnetBlock> resnets, List<SpatialTransformer> attentions, @Nullable Conv resize) {
    Var forward(Tape tape, int i, Var x, Var time, Var prompt) {
      return tape.checkpoint(
          List.of(x, time, prompt),
          () -> {
            Var h = resnets.get(i).forward(tape, x, time);
            return attentions.isEmpty() ? h : attentions.get(i).forward(tape, h, prompt);
          });
    }
  }

  /** Declares its weights under diffusers' names. */
  public UNet(UNetConfig config, Parameters parameters) {
    this(config, parameters, Adapters.NONE);
  }

  /** As {@link #UNet(UNetConfig, Parameters)}, with adapters around its layers. */
  public UNet(UNetConfig config, Parameters parameters, Adapters adapters) {
    this.config = config;
    this.parameters = parameters;
    Scope scope = new Scope(parameters, adapters, "");
    List<Integer> channels = config.blockOutChannels();
    int levels = channels.size();
    int first = channels.get(0);
    int deepest = channels.get(levels - 1);
    int timeWidth = 4 * first;
    convIn = scope.conv("conv_in", config.inChannels(), first, 3, 1, 1);
    time1 = scope.dense("time_embedding.linear_1", first, timeWidth, true);
    time2 = scope.dense("time_embedding.linear_2", timeWidth, timeWidth, true);
    added =
        config.added() == null
            ? null
            : new AddedEmbedding(scope.in("add_embedding"), config, config.added(), timeWidth);
    for (int i = 0; i < levels; i++) {
      down.add(downLevel(scope.in("down_blocks", i), i, timeWidth));
    }
    Scope middle = scope.in("mid_block");
    middle1 = resnet(middle.in("resnets", 0), deepest, deepest, timeWidth);
    middleAttention = transformer(middle.in("attentions", 0), levels - 1);
    middle2 = resnet(middle.in("resnets", 1), deepest, deepest, timeWidth);
    for (int i = 0; i < levels; i++) {
      up.add(upLevel(scope.in("up_blocks", i), i, timeWidth));
    }
    normOut = scope.channelNorm("conv_norm_out", first, config.normGroups(), config.normEpsilon());
    convOut = scope.conv("conv_out", first, config.outChannels(), 3, 1, 1);
  }

  private Level downLevel(Scope scope, int level, int timeWidth) {
    int out = config.blockOutChannels().get(level);
    int in = config.blockOutChannels().get(Math.max(0, level - 1));
    List<ResnetBlock> resnets = new ArrayList<>();
    List<SpatialTransformer> attentions = new ArrayList<>();
    for (int j = 0; j < config.layersPerBlock().get(level); j++) {
      resnets.add(resnet(scope.in("resnets", j), j == 0 ? in : out, out, timeWidth));
      if (config.downAttention().get(level)) {
        attentions.add(transformer(scope.in("attentions", j), level));
      }
    }
    boolean last = level == config.blockOutChannels().size() - 1;
    return new Level(
        resnets, attentions, last ? null : scope.conv("downsamplers.0.conv", out, out, 3, 2, 1));
  }

  /** The {@code i}-th level of the way up is the i-th from the inside. */
  private Level upLevel(Scope scope, int i, int timeWidth) {
    List<Integer> channels = config.blockOutChannels();
    int level = channels.size() - 1 - i;
    int out = channels.get(level);
    int before = channels.get(Math.min(channels.size() - 1, level + 1));
    int outer = channels.get(Math.max(0, level - 1));
    int layers = config.layersPerBlock().get(level) + 1;
    List<ResnetBlock> resnets = new ArrayList<>();
    List<SpatialTransformer> attentions = new ArrayList<>();
    for (int j = 0; j < layers; j++) {
      int skip = j == layers - 1 ? outer : out;
      int in = j == 0 ? before : out;
      resnets.add(resnet(scope.in("resnets", j), in + skip, out, timeWidth));
      if (config.upAttention().get(i)) {
        attentions.add(transformer(scope.in("attentions", j), level));
      }
    }
    return new Level(
        resnets,
        attentions,
        level == 0 ? null : scope.conv("upsamplers.0.conv", out, out, 3, 1, 1));
  }

  private ResnetBlock resnet(Scope scope, int in, int out, int timeWidth) {
    return new ResnetBlock(scope, in, out, timeWidth, config.normGroups(), config.normEpsilon());
  }

  private SpatialTransformer transformer(Scope scope, int level) {
    return new SpatialTransformer(
        scope,
        config.blockOutChannels().get(level),
        config,
        config.heads().get(level),
        config.transformerLayers().get(level));
  }

  /** Its settings. */
  public UNetConfig config() {
    return config;
  }

  /**
   * Predicts.
   *
   * @param latents [B, H, W, in_channels]; H and W need not be multiples of anything
   * @param timesteps [B], of the latents' type; may be fractional
   * @param conditioning as {@link UNetConfig#conditioning} has it
   * @return [B, H, W, out_channels]
   */
  public Var forward(Tape tape, Var latents, Tensor timesteps, Conditioning<Var> conditioning) {
    return tape.block(
        () -> {
          // 1. time
          tape.part("UNet in");
          DType type = parameters.computeType();
          Var time = tape.block(() -> timeEmbedding(tape, timesteps, conditioning, type));
          Var context = Convert.apply(tape, conditioning.hiddenStates(), type);

          // 2. down, keeping what the way up joins
          Deque<Var> skips = new ArrayDeque<>();
          Var h = down(tape, Convert.apply(tape, latents, type), time, context, skips);

          // 3. middle
          tape.part("UNet middle");
          h = middle(tape, h, time, context);

          // 4. up, to the size of the skip that comes next
          for (Level level : up) {
            tape.part("UNet up " + up.indexOf(level));
            for (int i = 0; i < level.resnets.size(); i++) {
              h = joined(tape, level, i, h, skips.pop(), time, context);
            }
            if (level.resize != null) {
              h = upsampled(tape, level.resize, h, skips.element());
            }
          }

          // 5. out
          tape.part("UNet out");
          Var output = convOut.forward(tape, normOut.silu(tape, h));
          return Convert.apply(tape, output, latents.value().dtype());
        });
  }

  /**
   * What the middle block makes of noisy latents, which tells pictures apart by what they show.
   * Arguments as for {@link #forward}, without backward.
   *
   * @return F32 [B, h, w, channels of the last level]
   */
  public Var features(Tape tape, Var latents, Tensor timesteps, Conditioning<Var> conditioning) {
    return tape.block(
        () -> {
          DType type = parameters.computeType();
          Var time = tape.block(() -> timeEmbedding(tape, timesteps, conditioning, type));
          Var context = Convert.apply(tape, conditioning.hiddenStates(), type);
          Var x = Convert.apply(tape, latents, type);
          Var h = down(tape, x, time, context, new ArrayDeque<>());
          return Convert.apply(tape, middle(tape, h, time, context), DType.F32);
        });
  }

  private Var down(Tape tape, Var latents, Var time, Var context, Deque<Var> skips) {
    Var h = convIn.forward(tape, latents);
    skips.push(h);
    for (Level level : down) {
      tape.part("UNet down " + down.indexOf(level));
      for (int i = 0; i < level.resnets.size(); i++) {
        h = level.forward(tape, i, h, time, context);
        skips.push(h);
      }
      if (level.resize != null) {
        h = level.resize.forward(tape, h);
        skips.push(h);
      }
    }
    return h;
  }

  private Var middle(Tape tape, Var x, Var time, Var prompt) {
    return tape.checkpoint(
        List.of(x, time, prompt),
        () -> {
          Var h = middleAttention.forward(tape, middle1.forward(tape, x, time), prompt);
          return middle2.forward(tape, h, time);
        });
  }

  private static Var joined(Tape tape, Level level, int i, Var h, Var skip, Var time, Var prompt) {
    return tape.checkpoint(
        List.of(h, skip, time, prompt),
        () -> level.forward(tape, i, Concat.apply(tape, h, skip), time, prompt));
  }

  private static Var upsampled(Tape tape, Conv conv, Var h, Var skip) {
    return tape.checkpoint(
        List.of(h),
        () -> conv.forward(tape, UpsampleNearest.apply(tape, h, skip.size(1), skip.size(2))));
  }

  /** SiLU of the time embedding, [B, 4 · first channels]: every residual block begins with it. */
  private Var timeEmbedding(
      Tape tape, Tensor timesteps, Conditioning<Var> conditioning, DType type) {
    Tensor waves =
        Sinusoidal.of(
            tape.arena(),
            timesteps,
            config.blockOutChannels().get(0),
            config.cosineFirst(),
            config.frequencyShift());
    Var embedded =
        time1.forward(tape, Convert.apply(tape, tape.constantOf("timesteps", waves), type));
    Var time = time2.forward(tape, Silu.apply(tape, embedded));
    return Silu.apply(
        tape,
        added == null ? time : Add.apply(tape, time, added.forward(tape, conditioning, type)));
  }

  /** SDXL's pooled text and picture sizes, embedded as the timestep is. */
  private static final class AddedEmbedding {
    private final UNetConfig config;
    private final int sizeWidth;
    private final Dense first;
    private final Dense second;

    AddedEmbedding(Scope scope, UNetConfig config, UNetConfig.Added added, int width) {
      this.config = config;
      sizeWidth = added.sizeWidth();
      first = scope.dense("linear_1", added.width(), width, true);
      second = scope.dense("linear_2", width, width, true);
    }

    Var forward(Tape tape, Conditioning<Var> conditioning, DType type) {
      Var sizes = conditioning.get(Conditioning.SIZES);
      long rows = sizes.size(0);
      Tensor numbers = sizes.value().reshaped(sizes.value().count());
      Tensor waves =
          Sinusoidal.of(
              tape.arena(), numbers, sizeWidth, config.cosineFirst(), config.frequencyShift());
      numbers.release();
      Var embedded = tape.constantOf("picture sizes", waves);
      Var x =
          Concat.apply(
              tape,
              Convert.apply(tape, conditioning.get(Conditioning.POOLED), type),
              Convert.apply(
                  tape, Reshape.apply(tape, embedded, rows, sizes.size(1) * sizeWidth), type));
      return second.forward(tape, Silu.apply(tape, first.forward(tape, x)));
    }
  }
}
