package dreambooth4j.config;

/**
 * The prior loss, which holds the class where the base model had it.
 *
 * @param withPriorPreservation whether class images are made and trained on
 * @param priorLossWeight weight of the prior loss beside the instance loss
 * @param priorLossScale whether that weight falls with the epoch
 * @param priorLossTarget the epoch at which it has fallen to priorLossWeightMin
 * @param priorLossWeightMin where it stays from then on
 * @param sampleBatchSize class images generated at once; 0 leaves it to the memory
 * @param refreshEpochs epochs after which all class images are made anew; 0 for never
 */
public record PriorConfig(
    boolean withPriorPreservation,
    double priorLossWeight,
    boolean priorLossScale,
    int priorLossTarget,
    double priorLossWeightMin,
    int sampleBatchSize,
    int refreshEpochs) {
  /** The weight of the prior loss in an epoch, counted from 0 (the extension's linear fall). */
  public double weightAt(int epoch) {
    if (!priorLossScale) {
      return priorLossWeight;
    }
    double fallen = Math.min(1, (double) epoch / priorLossTarget);
    return priorLossWeight * (1 - fallen) + priorLossWeightMin * fallen;
  }
}
