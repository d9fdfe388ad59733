package dreambooth4j.train;

import dreambooth4j.config.EmaConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Exponential moving averages of all that trains, in F32, each beside its weights: a step that
 * changed them moves the average by 1 − decay of the way to where they are now. The decay is
 * constant, or rises as diffusers' {@code EMAModel} has it: 0 in the first update, which makes the
 * average what the weights are.
 *
 * <p>The text encoder has its average too where it trains, unlike in the extension: a UNet of
 * averaged weights has never seen the prompts of one that is further on.
 */
final class Ema {
  /** A larger part of the base model in the average at a run's end is worth a word. */
  private static final double MUCH = 0.1;

  private final EmaConfig config;
  private final List<Parameters> groups;
  private int updates;

  /** Averages in {@code run}, as the weights are now; the groups must be allocated. */
  Ema(Arena run, EmaConfig config, List<Parameters> groups) {
    this.config = config;
    this.groups = List.copyOf(groups);
    groups.forEach(each -> each.keepAverage(run));
  }

  /** 1 − decay of the next update. */
  double rate() {
    return 1 - config.decayAt(updates + 1L);
  }

  /**
   * Moves the averages after a step. The host calls {@link #updated} once it knows that the norm
   * was finite.
   *
   * @param rate F32 [1], {@link #rate()}
   * @param norm F32 [1], the gradients': where it is not finite nothing changes
   */
  void update(Tensor rate, Tensor norm) {
    groups.forEach(each -> each.moveAverage(rate, norm));
  }

  /** Counts an update. */
  void updated() {
    updates++;
  }

  /** What to know before so many steps, or null: how little of a short run is in a slow average. */
  @Nullable String note(int steps) {
    double base = 1;
    for (long i = 1; i <= steps && base >= MUCH; i++) {
      base *= config.decayAt(i);
    }
    return base < MUCH
        ? null
        : String.format(
            Locale.ROOT,
            "ema_decay %s without a warm-up: after %d steps %.0f %% of the averaged weights are still"
                + " the base model's. Set ema_warmup: ratio, or a lower ema_decay",
            config.decay(),
            steps,
            100 * base);
  }

  /** How many updates there were, for {@link #restore}. */
  int updates() {
    return updates;
  }

  /**
   * Goes on with averages that were read, after so many updates; null where there were none to
   * read: they begin anew, as the weights are now.
   */
  void restore(@Nullable Integer done) {
    updates = done == null ? 0 : done;
    if (done == null) {
      groups.forEach(Parameters::beginAverage);
    }
  }
}
