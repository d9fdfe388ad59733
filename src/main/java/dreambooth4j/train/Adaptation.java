package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.config.LoraConfig;
import dreambooth4j.config.LoraConfig.Targets;
import dreambooth4j.model.Adapters;
import dreambooth4j.pipeline.Learning;
import dreambooth4j.weights.AdapterWriter;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Export;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** How each component learns in a run: by all of its weights, or by which adapters. */
final class Adaptation {
  /** The projections of attention, as diffusers' and transformers' names end. */
  private static final Pattern ATTENTION =
      Pattern.compile(".*\\.(to_[qkv]|to_out\\.0|[qkv]_proj|out_proj)");

  /** All within a transformer of the UNet or a layer of the text encoder. */
  private static final Pattern TRANSFORMERS =
      Pattern.compile("(.*\\.attentions|encoder\\.layers)\\..*");

  /** What kohya's scripts add with conv_dim. */
  private static final Pattern CONVOLUTIONS =
      Pattern.compile(".*\\.(resnets|downsamplers|upsamplers)\\..*");

  private Adaptation() {}

  /** The components that train, and how; text encoders where they are to. */
  static Map<Component, Learning> learning(Config config, List<Component> textEncoders) {
    Map<Component, Learning> learning = new EnumMap<>(Component.class);
    Export export = new AdapterWriter();
    put(learning, config, Component.UNET, 1, export);
    if (config.training().trainTextEncoder()) {
      for (Component each : textEncoders) {
        put(learning, config, each, config.optimizer().textEncoderRateFactor(), export);
      }
    }
    return learning;
  }

  private static void put(
      Map<Component, Learning> learning,
      Config config,
      Component component,
      double rateFactor,
      Export export) {
    LoraConfig lora = config.lora();
    learning.put(
        component,
        lora.used()
            ? new Learning(rateFactor, new Learning.Adaptation(sizes(lora, component), export))
            : Learning.whole(rateFactor));
  }

  /** Which layers of a component get an adapter, and of what size. */
  static Adapters.Sizes sizes(LoraConfig lora, Component component) {
    return (module, spatial) -> {
      if (!isTarget(lora.targets(), module)) {
        return null;
      }
      int rank = component == Component.UNET ? lora.rank(spatial) : lora.rankOfText();
      return new Adapters.Size(rank, lora.alphaOf(rank));
    };
  }

  private static boolean isTarget(Targets targets, String module) {
    return switch (targets) {
      case ATTENTION -> ATTENTION.matcher(module).matches();
      case ALL_LINEAR -> TRANSFORMERS.matcher(module).matches();
      case CONVOLUTIONS ->
          TRANSFORMERS.matcher(module).matches() || CONVOLUTIONS.matcher(module).matches();
    };
  }
}
