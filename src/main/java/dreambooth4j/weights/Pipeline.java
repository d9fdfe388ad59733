package dreambooth4j.weights;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The kinds of model that are trained here, by the diffusers class that draws with them. */
public enum Pipeline {
  /** Stable Diffusion 1 and 2. */
  STABLE_DIFFUSION(
      "StableDiffusionPipeline", Component.UNET, Component.TEXT_ENCODER, Component.VAE),
  /** SDXL, without its refiner. */
  STABLE_DIFFUSION_XL(
      "StableDiffusionXLPipeline",
      Component.UNET,
      Component.TEXT_ENCODER,
      Component.TEXT_ENCODER_2,
      Component.VAE);

  private final String className;

  @SuppressWarnings("ImmutableEnumChecker") // made by List.of
  private final List<Component> components;

  Pipeline(String className, Component... components) {
    this.className = className;
    this.components = List.of(components);
  }

  /** diffusers' class. */
  public String className() {
    return className;
  }

  /** Its parts that have weights and are computed with, in the order of a model's groups. */
  public List<Component> components() {
    return components;
  }

  /** Those among them that read prompts, in the order in which the UNet is given their states. */
  public List<Component> textEncoders() {
    return components.stream().filter(Component::isTextEncoder).toList();
  }

  /** The one of this diffusers class. */
  static Optional<Pipeline> named(String className) {
    return Arrays.stream(values()).filter(each -> each.className.equals(className)).findFirst();
  }
}
