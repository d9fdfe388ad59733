package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.LrConfig;
import dreambooth4j.train.LearningRate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntToDoubleFunction;

/**
 * Tables of what changes with the step, by the configuration that a user would write: learning
 * rates, decays of the averaged weights, the weight of the prior loss. A JSON list of {"name",
 * "source", "settings", "rates"}.
 */
final class ScheduleCases {
  private static final String ONETRAINER = "OT ";

  /** The keys here of recorded settings. */
  private static final Map<String, String> KEYS = new HashMap<>();

  static {
    KEYS.put("warmup_steps", "lr_warmup_steps");
    KEYS.put("lr", "learning_rate");
    KEYS.put("num_cycles", "lr_num_cycles");
    KEYS.put("power", "lr_power");
    KEYS.put("step_rules", "step_rules");
    KEYS.put("min_lr_rate", "lr_scheduler_min_lr_ratio");
    KEYS.put("min_lr_ratio", "lr_scheduler_min_lr_ratio");
    KEYS.put("min_factor", "lr_scheduler_min_lr_ratio");
    KEYS.put("num_decay_steps", "lr_decay_steps");
    KEYS.put("decay", "ema_decay");
    KEYS.put("min_decay", "ema_min_decay");
    KEYS.put("update_after_step", "ema_update_after_step");
    KEYS.put("inv_gamma", "ema_inv_gamma");
    KEYS.put("prior_loss_weight", "prior_loss_weight");
    KEYS.put("prior_loss_weight_min", "prior_loss_weight_min");
    KEYS.put("prior_loss_target", "prior_loss_target");
  }

  private ScheduleCases() {}

  /** Whether a row is of such a table. */
  static boolean are(JsonNode row) {
    return row.path("rates").isArray() && row.path("settings").isObject();
  }

  static List<Check> run(JsonNode rows) {
    List<Check> checks = new ArrayList<>();
    for (JsonNode row : rows) {
      IntToDoubleFunction ours = ours(row);
      double worst = 0;
      int step = 0;
      for (JsonNode rate : row.path("rates")) {
        double theirs = rate.asDouble();
        double off = Math.abs(ours.applyAsDouble(step++) - theirs);
        worst = Check.worse(worst, off / Math.max(Math.abs(theirs), scale(row)));
      }
      checks.add(new Check(label(row), "relative error of a step", worst, Limits.SCHEDULE));
    }
    return checks;
  }

  private static String label(JsonNode row) {
    return row.path("name").asText() + " " + row.path("settings");
  }

  /** What errors are relative to where the value is 0. */
  private static double scale(JsonNode row) {
    return row.path("settings").path("lr").asDouble(1);
  }

  private static IntToDoubleFunction ours(JsonNode row) {
    String name = row.path("name").asText();
    JsonNode settings = row.path("settings");
    Map<String, String> keys = new HashMap<>(Map.of("instance_data_dir", "pictures"));
    settings
        .properties()
        .forEach(
            each -> {
              String key = KEYS.get(each.getKey());
              if (key != null) {
                keys.put(key, each.getValue().asText());
              }
            });
    if (name.startsWith("ema")) {
      boolean power = settings.path("use_ema_warmup").asBoolean();
      keys.put("ema_warmup", power ? "power" : "ratio");
      if (power) {
        keys.put("ema_power", settings.path("power").asText());
        keys.remove("lr_power");
      }
      Config config = ConfigReader.read(null, keys).config();
      return step -> config.ema().decayAt(step + 1L);
    }
    if (name.equals("prior_loss_weight")) {
      keys.put("prior_loss_scale", "true");
      Config config = ConfigReader.read(null, keys).config();
      return config.prior()::weightAt;
    }
    boolean ofOneTrainer = row.path("source").asText().startsWith(ONETRAINER);
    keys.put("lr_scheduler", scheduler(name, settings, ofOneTrainer));
    keys.putIfAbsent("learning_rate", "1");
    Config config = ConfigReader.read(null, keys).config();
    LrConfig schedule = config.optimizer().schedule();
    int steps = settings.path("total_steps").asInt();
    LearningRate rate = new LearningRate(schedule, config.optimizer().learningRate(), steps);
    // Beyond a run's end, where no run gets, OneTrainer's restarts stay at its last step.
    int last = ofOneTrainer && name.contains("restarts") ? steps - 1 : Integer.MAX_VALUE;
    return step -> rate.at(Math.min(step, last));
  }

  /** The name here of what others call otherwise, or call so and do otherwise. */
  private static String scheduler(String name, JsonNode settings, boolean ofOneTrainer) {
    double cycles = settings.path("num_cycles").asDouble(0.5);
    return switch (name) {
      case "constant" -> ofOneTrainer ? "constant_with_warmup" : name;
      case "cosine" -> cycles == 0.5 ? name : "cosine_with_soft_restarts";
      case "cosine_with_restarts" -> ofOneTrainer ? "cosine_with_soft_restarts" : name;
      default -> name;
    };
  }
}
