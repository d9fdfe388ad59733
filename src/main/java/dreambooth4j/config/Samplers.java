package dreambooth4j.config;

import dreambooth4j.diffusion.SamplerKind;
import java.util.List;

/** What keys of samplers take. */
final class Samplers {
  /** A sampler by its name, or by what diffusers or the extension calls it. */
  static final ValueType<SamplerKind> TYPE =
      ValueType.oneOf(
          List.of(SamplerKind.values()),
          (text, folder) -> SamplerKind.find(text).map(SamplerKind::label).orElse(text));

  /** Some of them, for help: a line for each of all is in docs/configuration.md. */
  static final String SOME =
      "ddim, euler, euler_ancestral, dpmpp_2m_karras, unipc or another of those in"
          + " docs/configuration.md#samplers, by its name in diffusers or A1111 too";

  /**
   * The most steps that all of them take with a base model of 1,000 timesteps: Stable Diffusion's
   * spacing leaves out the first.
   */
  static final int MOST_STEPS = 999;

  private Samplers() {}
}
