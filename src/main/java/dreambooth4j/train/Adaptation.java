package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.FloatType;
import dreambooth4j.config.LoraConfig;
import dreambooth4j.config.LoraConfig.Targets;
import dreambooth4j.config.OutputConfig;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.model.AdapterKind;
import dreambooth4j.model.AdapterSize;
import dreambooth4j.model.Adapters;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.Learning;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.EmbeddingWriter;
import dreambooth4j.weights.Export;
import dreambooth4j.weights.ModelForm;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.ModelWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** How each component learns in a run: by all of its weights, by which adapters, by new words. */
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

  private final Config config;
  private final List<Component> textEncoders;
  private final Export export;
  private final Export words;
  private final @Nullable LoraStart start;

  /**
   * That of a run.
   *
   * @param concepts what it learns, which a LoRA's file speaks of
   * @param dry whether it saves nothing
   */
  Adaptation(Config config, ModelSource base, List<Concept> concepts, boolean dry) {
    this.config = config;
    textEncoders = base.pipeline().textEncoders();
    Path weights = config.lora().weights();
    start = weights == null ? null : new LoraStart(weights, base, config.lora(), trained());
    if (start != null && start.kind() != AdapterKind.LORA && config.anchor().weight() != 0) {
      throw Problem.usage(
          "anchor_weight: lora_weights %s is not a plain LoRA, and anchor_weight works only with plain LoRA: leave out anchor_weight"
              .formatted(weights));
    }
    export =
        dry
            ? Export.NONE
            : config.lora().used()
                ? LoraCards.writer(config, base, concepts)
                : new ModelWriter(base, form(config.output()));
    FloatType type = config.output().savePrecision();
    words =
        dry || !config.embedding().used()
            ? Export.NONE
            : new EmbeddingWriter(base, type == null ? DType.F32 : Devices.typeOf(type));
  }

  private List<Component> trained() {
    List<Component> trained = new ArrayList<>();
    if (config.training().trainUnet()) {
      trained.add(Component.UNET);
    }
    if (config.training().trainTextEncoder()) {
      trained.addAll(textEncoders);
    }
    return trained;
  }

  /** What of the configuration does nothing for this base model, and what to do. */
  static List<String> notes(Config config, ModelSource base) {
    boolean second = base.pipeline().textEncoders().contains(Component.TEXT_ENCODER_2);
    return second || config.optimizer().textEncoder2LearningRate() == null
        ? List.of()
        : List.of(
            "text_encoder_2_learning_rate has no effect, as the base model has one text encoder: set text_encoder_learning_rate instead, or leave it out");
  }

  /** The components that train, and how; text encoders where they are to. */
  Map<Component, Learning> learning() {
    Map<Component, Learning> learning = new EnumMap<>(Component.class);
    learning.put(Component.UNET, Learning.PASSING);
    trained().forEach(each -> learning.put(each, learning(each, rateFactor(each))));
    if (config.embedding().used()) {
      double factor = config.optimizer().factorOf(config.embedding().learningRate());
      Learning.Words learnt = new Learning.Words(factor, words);
      for (Component each : textEncoders) {
        learning.put(each, learning.getOrDefault(each, Learning.PASSING).with(learnt));
      }
    }
    return learning;
  }

  private double rateFactor(Component component) {
    return switch (component) {
      case TEXT_ENCODER -> config.optimizer().textEncoderRateFactor();
      case TEXT_ENCODER_2 -> config.optimizer().textEncoder2RateFactor();
      default -> 1;
    };
  }

  /** Gives adapters the numbers that the run begins with. */
  void begin(Arena arena, StableDiffusion model) {
    model.beginAdapters(arena, config.training().seed());
    if (start != null) {
      start.readInto(model);
    }
  }

  private Learning learning(Component component, double rateFactor) {
    LoraConfig lora = config.lora();
    if (!lora.used()) {
      return Learning.whole(rateFactor, export);
    }
    AdapterKind kind =
        switch (lora.kind()) {
          case LORA -> AdapterKind.LORA;
          case DORA -> AdapterKind.DORA;
          case LOHA -> AdapterKind.LOHA;
          case LOKR -> AdapterKind.LOKR;
        };
    return Learning.of(
        rateFactor,
        start == null
            ? new Learning.Adaptation(kind, sizes(lora, component), lora.dropout(), export)
            : new Learning.Adaptation(
                start.kind(), start.sizes(component), lora.dropout(), export));
  }

  /** What the model is saved as. */
  static ModelForm form(OutputConfig output) {
    Set<ModelForm.Format> formats =
        switch (output.saveModelAs()) {
          case DIFFUSERS -> Set.of(ModelForm.Format.DIFFUSERS);
          case SAFETENSORS -> Set.of(ModelForm.Format.SAFETENSORS);
          case BOTH -> Set.of(ModelForm.Format.DIFFUSERS, ModelForm.Format.SAFETENSORS);
        };
    FloatType precision = output.savePrecision();
    return new ModelForm(formats, precision == null ? null : Devices.typeOf(precision));
  }

  /** Which layers of a component get an adapter, and of what size. */
  static Adapters.Sizes sizes(LoraConfig lora, Component component) {
    return (module, spatial) -> {
      if (!isTarget(lora.targets(), module)) {
        return null;
      }
      int rank = component == Component.UNET ? lora.rank(spatial) : lora.rankOfText();
      return new AdapterSize(rank, lora.alphaOf(rank), lora.factor());
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
