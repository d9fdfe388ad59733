package dreambooth4j.weights;

import java.util.List;

/** What kind of model a LoRA was made for, as other programs call it. */
enum BaseKind {
  SD1("stable-diffusion-v1", "sd_v1", "SD1"),
  SD2("stable-diffusion-v2-512", "sd_v2", "SD2"),
  SD2_V("stable-diffusion-v2-768-v", "sd_v2_768_v", "SD2"),
  SDXL("stable-diffusion-xl-v1-base", "sdxl_base_v1-0", "SDXL");

  /** Width of SD 2's prompts; SD 1 has 768, and SDXL is told apart by its own layers. */
  private static final long WIDE_PROMPT = 1024;

  private static final String PROMPT_LAYER =
      "mid_block.attentions.0.transformer_blocks.0.attn2.to_k";

  private final String architecture;
  private final String kohya;
  private final String webUi;

  BaseKind(String architecture, String kohya, String webUi) {
    this.architecture = architecture;
    this.kohya = kohya;
    this.webUi = webUi;
  }

  /** The kind of a model with these layers. */
  static BaseKind of(ModelLayers layers, boolean predictsVelocity) {
    if (layers.isSdxl()) {
      return SDXL;
    }
    List<Long> prompt = layers.of(Component.UNET).getOrDefault(PROMPT_LAYER, List.of(0L, 0L));
    if (prompt.get(1) < WIDE_PROMPT) {
      return SD1;
    }
    return predictsVelocity ? SD2_V : SD2;
  }

  /** In {@code modelspec.architecture}. */
  String architecture() {
    return architecture;
  }

  /** In {@code ss_base_model_version}. */
  String kohya() {
    return kohya;
  }

  /** In A1111's and Forge's sidecar. */
  String webUi() {
    return webUi;
  }

  /** In {@code ss_v2}. */
  boolean isSecond() {
    return this == SD2 || this == SD2_V;
  }

  /** In {@code modelspec.implementation}: whose names a LoRA's layers have. */
  String implementation() {
    return this == SDXL ? "https://github.com/Stability-AI/generative-models" : "diffusers";
  }
}
