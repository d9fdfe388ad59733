package dreambooth4j.config.imports;

import dreambooth4j.config.imports.Draft.NotPossible;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A line of kohya's prompt files: a prompt, then {@code --n} negative {@code --l} scale and so on.
 */
final class SamplePrompt {
  private static final Pattern OPTION = Pattern.compile("\\s--([a-z]+)\\s+((?:(?!\\s--).)+)");

  private static final Map<String, String> KEYS =
      Map.of(
          "n", "save_sample_negative_prompt",
          "l", "save_guidance_scale",
          "s", "save_infer_steps",
          "d", "sample_seed");

  /** OneTrainer's names that are others here; of kohya's scripts all are known. */
  private static final Map<String, String> SAMPLERS =
      Map.of(
          "dpmpp", "dpmpp_2m",
          "dpmpp_karras", "dpmpp_2m_karras",
          "dpmpp_sde", "dpmpp_2m_sde",
          "dpmpp_sde_karras", "dpmpp_2m_sde_karras");

  private SamplePrompt() {}

  /** Sets the keys of samples. */
  static String convert(Draft draft, String line) throws NotPossible {
    String padded = line.strip();
    Matcher option = OPTION.matcher(padded);
    StringBuilder left = new StringBuilder();
    int end = padded.indexOf(" --");
    String prompt = end < 0 ? padded : padded.substring(0, end);
    StringBuilder said = new StringBuilder(draft.put("save_sample_prompt", prompt.strip()));
    while (option.find()) {
      String key = KEYS.get(option.group(1));
      if (key == null) {
        left.append(" --").append(option.group(1));
      } else {
        said.append(", ").append(draft.put(key, option.group(2).strip()));
      }
    }
    return said + (left.isEmpty() ? "" : "; left out:" + left);
  }

  /** Sets the sampler by its name in kohya's scripts or OneTrainer. */
  static String sampler(Draft draft, String theirs) throws NotPossible {
    String plain = theirs.toLowerCase(Locale.ROOT);
    return draft.put("scheduler", SAMPLERS.getOrDefault(plain, plain));
  }
}
