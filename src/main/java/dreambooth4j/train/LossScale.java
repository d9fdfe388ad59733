package dreambooth4j.train;

import dreambooth4j.config.ComputeConfig.MixedPrecision;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What fp16's loss is multiplied with before backward, so that small gradients do not vanish: by
 * the rule of {@code torch.amp.GradScaler}. A step whose gradients are not finite is skipped and
 * halves it; {@value #GROWTH_INTERVAL} good ones in a row double it. In other types it is 1 and
 * stays so.
 */
final class LossScale {
  static final int GROWTH_INTERVAL = 2000;

  private static final double FIRST = 65_536;

  /** Below it what overflows is not the scale's doing: fp16's smallest number with all its bits. */
  private static final double LEAST = 0x1p-14;

  private static final Pattern SAVED = Pattern.compile("(0x1\\.[0-9a-f]+p-?\\d{1,3}) (\\d{1,4})");

  private final boolean dynamic;
  private double value;
  private int good;

  LossScale(MixedPrecision precision) {
    dynamic = precision == MixedPrecision.FP16;
    value = dynamic ? FIRST : 1;
  }

  /** What the loss is multiplied with now. */
  double value() {
    return value;
  }

  /** The value, or null where there is nothing to tell. */
  @Nullable Double shown() {
    return dynamic ? value : null;
  }

  /** Counts a step whose gradients were finite. */
  void kept() {
    good++;
    if (dynamic && good == GROWTH_INTERVAL) {
      value = Math.min(2 * value, Float.MAX_VALUE);
      good = 0;
    }
  }

  /** Whether gradients that are not finite may be the scale's doing; if not, the run diverged. */
  boolean canFall() {
    return dynamic && value > LEAST;
  }

  /** Halves it, after a step whose gradients were not finite. */
  void fall() {
    value /= 2;
    good = 0;
  }

  /** For {@link #restore}: exact. */
  @Override
  public String toString() {
    return !dynamic ? "none" : String.format(Locale.ROOT, "%a %d", value, good);
  }

  /** Goes on from what {@link #toString} said; after a run in another type it begins anew. */
  void restore(@Nullable String text) {
    Matcher saved = SAVED.matcher(text == null ? "" : text);
    if (dynamic && saved.matches()) {
      value = Double.parseDouble(saved.group(1));
      good = Integer.parseInt(saved.group(2));
    }
  }
}
