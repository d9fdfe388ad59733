package dreambooth4j.config;

import org.jspecify.annotations.Nullable;

/**
 * How long and on what is trained.
 *
 * @param trainBatchSize instance pictures a batch, each with one class picture
 * @param gradientAccumulationSteps batches a step
 * @param numTrainEpochs times that every instance picture is shown, unless maxTrainSteps is set
 * @param maxTrainSteps optimizer updates; null leaves the end to numTrainEpochs
 * @param stopTextEncoder the part of the run, 0 to 1, in which the text encoder is trained too
 * @param snrGamma min-SNR's gamma; 0 leaves all timesteps their weight
 * @param offsetNoise standard deviation of the noise added to whole channels; 0 adds none
 * @param seed decides every random draw
 */
public record TrainingConfig(
    int trainBatchSize,
    int gradientAccumulationSteps,
    int numTrainEpochs,
    @Nullable Integer maxTrainSteps,
    double stopTextEncoder,
    double snrGamma,
    double offsetNoise,
    long seed) {
  /** Whether the text encoder is trained, be it for a part of the run. */
  public boolean trainTextEncoder() {
    return stopTextEncoder > 0;
  }
}
