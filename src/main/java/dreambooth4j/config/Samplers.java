package dreambooth4j.config;

import java.util.List;

/** The samplers that draw samples and class images, by name. */
final class Samplers {
  /** Their names here. */
  static final List<String> NAMES =
      List.of(
          "ddpm",
          "ddim",
          "pndm",
          "euler",
          "euler_ancestral",
          "dpmpp_2m",
          "dpmpp_2m_karras",
          "unipc");

  /** One of {@link #NAMES}, or what diffusers or the extension calls it. */
  static final ValueType<String> TYPE = ValueType.oneOf(NAMES, (text, folder) -> name(text));

  /**
   * The most steps that all of them take with a base model of 1,000 timesteps: Stable Diffusion's
   * spacing leaves out the first.
   */
  static final int MOST_STEPS = 999;

  private Samplers() {}

  /** The sampler that diffusers or the extension calls by this name. */
  private static String name(String text) {
    String plain = text.endsWith("Scheduler") ? text.substring(0, text.length() - 9) : text;
    return switch (plain) {
      case "DDPM" -> "ddpm";
      case "DDIM" -> "ddim";
      case "PNDM" -> "pndm";
      case "EulerDiscrete" -> "euler";
      case "EulerAncestralDiscrete" -> "euler_ancestral";
      case "DPMSolverMultistep" -> "dpmpp_2m";
      case "UniPCMultistep" -> "unipc";
      default -> text;
    };
  }
}
