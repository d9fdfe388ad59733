package dreambooth4j.config.imports;

import dreambooth4j.config.imports.Draft.NotPossible;
import java.util.Locale;
import java.util.Map;

/** Samplers by the names that other trainers have for them. */
final class SamplerNames {
  /** OneTrainer's names that are others here; of kohya's scripts all are known. */
  private static final Map<String, String> SAMPLERS =
      Map.of(
          "dpmpp", "dpmpp_2m",
          "dpmpp_karras", "dpmpp_2m_karras",
          "dpmpp_sde", "dpmpp_2m_sde",
          "dpmpp_sde_karras", "dpmpp_2m_sde_karras");

  private SamplerNames() {}

  /** Sets the sampler by its name in kohya's scripts or OneTrainer. */
  static String sampler(Draft draft, String theirs) throws NotPossible {
    String plain = theirs.toLowerCase(Locale.ROOT);
    return draft.put("scheduler", SAMPLERS.getOrDefault(plain, plain));
  }
}
