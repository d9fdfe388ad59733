package dreambooth4j.config;

import java.util.Locale;

/** What numbers are held in, by kohya's names. */
public enum FloatType {
  /** F32. */
  FP32,
  /** BF16. */
  BF16,
  /** F16. */
  FP16;

  /** The name in configuration files and on command lines. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
