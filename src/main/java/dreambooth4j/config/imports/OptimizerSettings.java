package dreambooth4j.config.imports;

import dreambooth4j.config.KeyTable.Fate;
import dreambooth4j.config.OptimizerName;
import dreambooth4j.config.imports.Draft.NotPossible;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The optimizer of another trainer, and what it is told beside the learning rate. */
final class OptimizerSettings {
  private static final Map<String, String> NAMES =
      Map.of(
          "schedule free adamw", "AdamWScheduleFree",
          "pagedadamw", "AdamW",
          "pagedadamw32bit", "AdamW",
          "pagedadamw8bit", "8bit AdamW",
          "pagedlion8bit", "8bit Lion");

  private OptimizerSettings() {}

  /** Sets the optimizer, with the weight decay that it has there where nobody says another. */
  static String name(Draft draft, String theirs) throws NotPossible {
    String plain = theirs.replace('_', ' ').toLowerCase(Locale.ROOT);
    String name = OptimizerName.canonical(NAMES.getOrDefault(plain, plain));
    if (!OptimizerName.written().contains(name)) {
      throw new NotPossible(
          "there are %s here: set one of them as optimizer, with a learning_rate that suits it"
              .formatted(String.join(", ", OptimizerName.written())));
    }
    String set = draft.put("optimizer", name);
    if (draft.has("adam_weight_decay") || OptimizerName.of(name) == OptimizerName.ADAMW) {
      return set;
    }
    return set + ", " + draft.put("adam_weight_decay", 0) + " (its default there)";
  }

  /** The rule that is set, or the one where none is. */
  private static OptimizerName chosen(Draft draft) {
    String name = draft.get("optimizer");
    return name == null ? OptimizerName.standard() : OptimizerName.of(name);
  }

  /** Sets one argument, by the name that it has in Python. */
  static String argument(Draft draft, String name, String value) throws NotPossible {
    String plain = value.replaceAll("[()\\s]", "").toLowerCase(Locale.ROOT);
    switch (name) {
      case "betas" -> {
        String[] betas = plain.split(",", -1);
        String first = draft.put("adam_beta1", betas[0]);
        return betas.length < 2 ? first : first + ", " + draft.put("adam_beta2", betas[1]);
      }
      case "weight_decay" -> {
        return draft.put("adam_weight_decay", plain);
      }
      case "eps" -> {
        return draft.put("adam_epsilon", plain);
      }
      case "decouple", "fused", "foreach" -> {
        return "it is so here in any case";
      }
      default -> {
        OptimizerName rule = chosen(draft);
        if (!rule.arguments().contains(name)) {
          throw new NotPossible(
              "%s has no such argument here: remove it%s"
                  .formatted(
                      rule.label(),
                      rule.arguments().isEmpty()
                          ? ""
                          : ", or take one of " + String.join(", ", rule.arguments())));
        }
        return addArgument(draft, name, plain);
      }
    }
  }

  private static String addArgument(Draft draft, String name, String value) throws NotPossible {
    String before = draft.get("optimizer_args");
    List<String> all = new ArrayList<>(before == null ? List.of() : List.of(before.split(" ", -1)));
    all.removeIf(each -> each.startsWith(name + "="));
    all.add(name + "=" + value);
    draft.put("optimizer_args", String.join(" ", all));
    return "optimizer_args: " + name + "=" + value;
  }

  /** Adafactor finds its rate by itself in kohya's scripts unless it is told not to. */
  static void addDefaults(Draft draft) {
    String given = draft.get("optimizer_args");
    if (chosen(draft) == OptimizerName.ADAFACTOR
        && (given == null || !given.contains("relative_step="))) {
      String all = given == null ? "" : given + " ";
      draft.remove("optimizer_args");
      draft.add("optimizer_args", all + "relative_step=true", "the default of kohya's scripts");
    }
  }

  /** Takes out what the optimizer cannot have. */
  static void check(Draft draft) {
    if (chosen(draft) != OptimizerName.PRODIGY) {
      return;
    }
    for (String key :
        new String[] {
          "lora_txt_learning_rate", "text_encoder_learning_rate", "text_encoder_2_learning_rate"
        }) {
      String rate = draft.get(key);
      if (rate != null) {
        draft.remove(key);
        draft.say(
            Fate.IMPOSSIBLE,
            key + ": " + rate,
            "Prodigy finds one learning rate for all that trains: it is taken out again");
      }
    }
  }
}
