package dreambooth4j.weights;

/** What kind of model a LoRA was made for, as other programs call it. */
enum BaseKind {
  SD1("stable-diffusion-v1", "sd_v1", "SD1"),
  SD2("stable-diffusion-v2-512", "sd_v2", "SD2"),
  SD2_V("stable-diffusion-v2-768-v", "sd_v2_768_v", "SD2"),
  SDXL("stable-diffusion-xl-v1-base", "sdxl_base_v1-0", "SDXL");

  private final String architecture;
  private final String kohya;
  private final String webUi;

  BaseKind(String architecture, String kohya, String webUi) {
    this.architecture = architecture;
    this.kohya = kohya;
    this.webUi = webUi;
  }

  /** The kind of a model. */
  static BaseKind of(ModelSource model, boolean predictsVelocity) {
    return switch (Family.of(model)) {
      case SD1 -> SD1;
      case SD2 -> predictsVelocity ? SD2_V : SD2;
      case SDXL -> SDXL;
    };
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
