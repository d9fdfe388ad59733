package dreambooth4j.weights;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Collection;
import java.util.EnumMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The kinds of model whose original checkpoints are read and written. */
enum Family {
  /** Stable Diffusion 1. */
  SD1("Stable Diffusion 1", Pipeline.STABLE_DIFFUSION, "cond_stage_model.transformer.", null),
  /** Stable Diffusion 2, whose text encoder is open_clip's. */
  SD2("Stable Diffusion 2", Pipeline.STABLE_DIFFUSION, null, "cond_stage_model.model."),
  /** SDXL, without its refiner. */
  SDXL(
      "SDXL",
      Pipeline.STABLE_DIFFUSION_XL,
      "conditioner.embedders.0.transformer.",
      "conditioner.embedders.1.model.");

  static final String UNET_PREFIX = "model.diffusion_model.";
  private static final String VAE_PREFIX = "first_stage_model.";

  /** What published files hold and no diffusers folder does. */
  private static final Pattern BESIDE =
      Pattern.compile(
          "model_ema\\..*"
              + "|(cond_stage_model|conditioner\\.embedders\\.0)\\.transformer"
              + "\\.(?:text_model\\.)?embeddings\\.position_ids"
              + "|(cond_stage_model|conditioner\\.embedders\\.1)\\.model"
              + "\\.(logit_scale|attn_mask|transformer\\.resblocks\\.(\\d{1,4})\\..*)"
              + "|cond_stage_model\\.model\\.text_projection"
              + "|(alphas_cumprod|betas|log_|logvar|posterior_|sqrt_)\\w*"
              + "|denoiser\\.sigmas|denoiser\\.log_sigmas|scale_factor|v_pred|ztsnr");

  private static final int LAYER_GROUP = 4;

  private final String title;
  private final Pipeline pipeline;

  @SuppressWarnings("ImmutableEnumChecker") // never changed
  private final Map<Component, String> clip = new EnumMap<>(Component.class);

  @SuppressWarnings("ImmutableEnumChecker") // never changed
  private final Map<Component, String> openClip = new EnumMap<>(Component.class);

  Family(
      String title, Pipeline pipeline, @Nullable String clipPrefix, @Nullable String openPrefix) {
    this.title = title;
    this.pipeline = pipeline;
    if (clipPrefix != null) {
      clip.put(Component.TEXT_ENCODER, clipPrefix);
    }
    if (openPrefix != null) {
      openClip.put(
          clipPrefix == null ? Component.TEXT_ENCODER : Component.TEXT_ENCODER_2, openPrefix);
    }
  }

  /** What people call it. */
  String title() {
    return title;
  }

  /** What draws with it. */
  Pipeline pipeline() {
    return pipeline;
  }

  /** The family of an original checkpoint with these tensors; null if it is of none. */
  static @Nullable Family of(Collection<String> names) {
    for (Family each : new Family[] {SDXL, SD2, SD1}) {
      Map<Component, String> own = each.openClip.isEmpty() ? each.clip : each.openClip;
      if (own.values().stream()
          .anyMatch(prefix -> names.stream().anyMatch(name -> name.startsWith(prefix)))) {
        return each;
      }
    }
    return null;
  }

  /** The family of a model. */
  static Family of(ModelSource model) {
    if (model.pipeline() == Pipeline.STABLE_DIFFUSION_XL) {
      return SDXL;
    }
    String activation = model.config(Component.TEXT_ENCODER).path("hidden_act").asText();
    return activation.equals("gelu") ? SD2 : SD1;
  }

  /**
   * Where the original has a component that is configured so.
   *
   * @param where names the configuration in errors
   */
  OriginalPart part(Component component, JsonNode config, String where) {
    return switch (component) {
      case UNET -> new OriginalPart(UNET_PREFIX, UNetNames.of(config, where).table());
      case VAE -> new OriginalPart(VAE_PREFIX, VaeNames.of(config).table());
      case TEXT_ENCODER, TEXT_ENCODER_2 -> text(component, config);
      default -> throw new IllegalArgumentException(component + " has no weights there");
    };
  }

  private OriginalPart text(Component component, JsonNode config) {
    String prefix = clip.get(component);
    if (prefix != null) {
      return new OriginalPart(prefix, TextNames.clip());
    }
    boolean projects = component == Component.TEXT_ENCODER_2;
    NameTable table = TextNames.openClip(layers(config), projects);
    return new OriginalPart(openClip.getOrDefault(component, ""), table);
  }

  private static int layers(JsonNode textEncoder) {
    return textEncoder.path("num_hidden_layers").asInt();
  }

  /**
   * Whether published files hold a tensor of this name that a model does without.
   *
   * @param textEncoder configures the text encoder, whose original has perhaps one layer more
   */
  static boolean isBeside(String name, JsonNode textEncoder) {
    Matcher matcher = BESIDE.matcher(name);
    if (!matcher.matches()) {
      return false;
    }
    String layer = matcher.group(LAYER_GROUP);
    return layer == null || Integer.parseInt(layer) == layers(textEncoder);
  }
}
