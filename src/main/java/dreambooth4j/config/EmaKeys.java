package dreambooth4j.config;

import static dreambooth4j.config.Key.Group.TRAINING;

import dreambooth4j.config.EmaConfig.Warmup;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The keys of a run that are about the average of its weights. */
final class EmaKeys {
  private static final List<Key<Config, ?>> ALL = new ArrayList<>();

  static final Key<Config, Boolean> USE_EMA =
      key(
          "use_ema",
          ValueType.flag(),
          false,
          true,
          "Keep a moving average of the trained weights; it is what is saved and sampled.",
          c -> c.ema().used());

  /** Null where use_ema decides. */
  static final Key<Config, Boolean> INFER_EMA =
      key(
          "infer_ema",
          ValueType.flag(),
          null,
          false,
          "The extension's key for saving use_ema's average; where it is false there is none.",
          c -> null);

  static final Key<Config, Double> EMA_DECAY =
      key(
          "ema_decay",
          ValueType.number("a number from 0 to below 1", v -> v >= 0 && v < 1),
          0.9999,
          0.9999,
          "How much of the average stays in each step, at most.",
          c -> c.ema().decay(),
          "ema_max_decay");

  static final Key<Config, Warmup> EMA_WARMUP =
      key(
          "ema_warmup",
          ValueType.oneOf(Warmup.class),
          Warmup.RATIO,
          Warmup.NONE,
          "How the decay rises to that with step s: ratio (1 + s) / (10 + s); power 1 - (1 + s / ema_inv_gamma)^-ema_power; none.",
          c -> c.ema().warmup());

  static final Key<Config, Double> EMA_INV_GAMMA =
      key(
          "ema_inv_gamma",
          ValueType.positive(),
          1.0,
          1.0,
          "Of ema_warmup: power; the larger, the slower.",
          c -> c.ema().invGamma());

  static final Key<Config, Double> EMA_POWER =
      key(
          "ema_power",
          ValueType.positive(),
          0.75,
          0.75,
          "Of ema_warmup: power; the larger, the faster.",
          c -> c.ema().power());

  private EmaKeys() {}

  static List<Key<Config, ?>> all() {
    return List.copyOf(ALL);
  }

  /**
   * The average of a run. The extension keeps one beside the weights where use_ema says so, and
   * takes it for the model only where infer_ema does. A use_ema among the flags decides over a
   * file's infer_ema.
   *
   * @param remarks gets a line where only one of the two asks for it
   */
  static EmaConfig of(Values run, List<String> remarks) {
    boolean kept = run.get(USE_EMA);
    Boolean said = run.orNull(INFER_EMA);
    boolean flag = run.layer(USE_EMA) > Math.max(0, run.layer(INFER_EMA));
    boolean taken = (said == null || flag) ? kept : said;
    if (kept && !taken && run.has(USE_EMA)) {
      remarks.add(
          "use_ema: true, but with infer_ema: false the trained weights themselves are saved, and no average is kept; infer_ema: true saves it");
    }
    if (taken && !kept) {
      remarks.add(
          "infer_ema: true, but without use_ema: true no average is kept, and the trained weights themselves are saved");
    }
    return new EmaConfig(
        kept && taken,
        run.get(EMA_DECAY),
        run.get(EMA_WARMUP),
        run.get(EMA_INV_GAMMA),
        run.get(EMA_POWER));
  }

  private static <T> Key<Config, T> key(
      String name,
      ValueType<T> type,
      @Nullable T standard,
      @Nullable T extensionStandard,
      String description,
      Function<Config, @Nullable T> getter,
      String... aliases) {
    Key<Config, T> key =
        new Key<>(TRAINING, name, type, standard, extensionStandard, description, getter, aliases);
    ALL.add(key);
    return key;
  }
}
