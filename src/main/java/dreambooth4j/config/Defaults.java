package dreambooth4j.config;

import java.util.Locale;

/** Whose defaults hold for the keys that nobody sets. */
enum Defaults {
  /** Our own. */
  DREAMBOOTH4J,
  /** Those of diffusers' train_dreambooth.py, where they change what is trained. */
  DIFFUSERS,
  /** Those of sd_dreambooth_extension: a db_config.json relies on them. */
  EXTENSION;

  /** The name in configuration files. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
