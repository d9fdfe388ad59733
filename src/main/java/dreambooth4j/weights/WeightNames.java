package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Names that components' tensors had at one time or another, and the one that they have here:
 * diffusers' own of today, and transformers 5's, whose text encoder has no {@code text_model.} in
 * front.
 */
final class WeightNames {
  private static final String TEXT_PREFIX = "text_model.";
  private static final Pattern OLD_ATTENTION =
      Pattern.compile("(.*\\.attentions\\.\\d+)\\.(query|key|value|proj_attn)\\.(weight|bias)");

  private WeightNames() {}

  /** The name here of a tensor that a file calls {@code name}. */
  static String ours(Component component, String name) {
    return switch (component) {
      case TEXT_ENCODER, TEXT_ENCODER_2 ->
          name.startsWith(TEXT_PREFIX) ? name.substring(TEXT_PREFIX.length()) : name;
      case VAE -> {
        var old = OLD_ATTENTION.matcher(name);
        yield old.matches() ? old.group(1) + "." + todays(old.group(2)) + "." + old.group(3) : name;
      }
      default -> name;
    };
  }

  private static String todays(String layer) {
    return switch (layer) {
      case "query" -> "to_q";
      case "key" -> "to_k";
      case "value" -> "to_v";
      default -> "to_out.0";
    };
  }

  /** What transformers 5 and diffusers call a tensor of this name here in the files they write. */
  static String written(Component component, String ours) {
    boolean prefixed =
        component == Component.TEXT_ENCODER_2 && !ours.startsWith("text_projection.");
    return prefixed ? TEXT_PREFIX + ours : ours;
  }

  /** Whether a tensor of this name here is no weight: old files hold a table of positions. */
  static boolean isIgnored(Component component, String ours) {
    return component.isTextEncoder() && ours.equals("embeddings.position_ids");
  }

  /**
   * The names of a source's weights by their names here.
   *
   * @throws Problem when two tensors have one name here
   */
  static Map<String, String> fileNames(Component component, TensorSource source) {
    Map<String, String> byOurs = new LinkedHashMap<>();
    for (String name : source.tensors().keySet()) {
      String ours = ours(component, name);
      String other = byOurs.put(ours, name);
      if (other != null) {
        throw Problem.data(
            "%s: tensor %s: expected once, found %s too".formatted(source.path(), name, other));
      }
    }
    byOurs.keySet().removeIf(ours -> isIgnored(component, ours));
    return byOurs;
  }
}
