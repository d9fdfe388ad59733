package dreambooth4j.config;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Pictures that a run is measured on and does not learn from, and what is done about it.
 *
 * @param dataDir the folder of such pictures, of the first concept; null for none
 * @param share part of each concept's pictures that is kept from training; 0 for none
 * @param every steps from one measurement to the next
 * @param saveBest whether the model of the least loss is kept beside the last one
 * @param patience measurements without a better one after which the run ends; 0 for never
 */
public record ValidationConfig(
    @Nullable Path dataDir, double share, int every, boolean saveBest, int patience) {
  static final Section<ValidationConfig> KEYS = new Section<>(Key.Group.VALIDATION);

  static final Key<ValidationConfig, Path> VALIDATION_DATA_DIR =
      KEYS.key("validation_data_dir", ValueType.path(), ValidationConfig::dataDir)
          .otherwise("none")
          .help(
              "Folder of pictures of the first concept's subject that are not trained on, with"
                  + " captions like those in instance_data_dir: a rising loss on them shows"
                  + " overfitting to the training pictures.");

  static final Key<ValidationConfig, Double> VALIDATION_SHARE =
      KEYS.key(
              "validation_share",
              ValueType.number("a number from 0 to 0.5", v -> v >= 0 && v <= 0.5),
              ValidationConfig::share)
          .standard(0.0)
          .alias("validation_split")
          .help(
              "Fraction of each concept's pictures, at most 0.5, that is held out from training (at"
                  + " least one picture) to measure the loss on; the choice does not depend on the"
                  + " seed. 0 holds out none; 0.1 to 0.2 is usual for 20 pictures or more.");

  static final Key<ValidationConfig, Integer> VALIDATE_EVERY =
      KEYS.key("validate_every_n_steps", ValueType.atLeast(1), ValidationConfig::every)
          .standard(100)
          .unit("steps")
          .help(
              "Number of steps between measurements of the loss on the pictures of"
                  + " validation_data_dir or validation_share, also made before the first step and"
                  + " after the last, always at the same four timesteps and noises. Written to"
                  + " metrics.jsonl; changes no weight.");

  static final Key<ValidationConfig, Boolean> SAVE_BEST =
      KEYS.key("save_best", ValueType.flag(), ValidationConfig::saveBest)
          .standard(false)
          .help(
              "Whenever the loss on held-out pictures is the lowest so far, save the model in"
                  + " output_dir/model-best and replace the previous one; needs validation_data_dir"
                  + " or validation_share.");

  static final Key<ValidationConfig, Integer> PATIENCE =
      KEYS.key("early_stopping_patience", ValueType.atLeast(0), ValidationConfig::patience)
          .standard(0)
          .unit("measurements")
          .help(
              "Stop and save after this many measurements in a row without a lower loss on held-out"
                  + " pictures (see validate_every_n_steps); 0 trains to the end. Use it with"
                  + " save_best, since the last model is then not the best.");

  /** Whether there are pictures to measure on. */
  public boolean used() {
    return dataDir != null || share > 0;
  }

  static ValidationConfig of(Values run) {
    ValidationConfig made =
        new ValidationConfig(
            run.orNull(VALIDATION_DATA_DIR),
            run.get(VALIDATION_SHARE),
            run.get(VALIDATE_EVERY),
            run.get(SAVE_BEST),
            run.get(PATIENCE));
    if (!made.used() && (made.saveBest || made.patience > 0)) {
      run.error(
          "%s needs pictures to measure on: set validation_data_dir, or validation_share to 0.1 or so"
              .formatted(made.saveBest ? SAVE_BEST.name() : PATIENCE.name()));
    }
    if (!made.used()) {
      run.remarkUseless(VALIDATE_EVERY, "no pictures are held out: set validation_data_dir");
    }
    return made;
  }
}
