package dreambooth4j.config;

/**
 * AdamW and its learning rate.
 *
 * @param learningRate the learning rate after the warm-up
 * @param lrScheduler how it changes with the step
 * @param lrWarmupSteps steps of the linear warm-up
 * @param lrNumCycles cycles of cosine_with_restarts
 * @param lrPower degree of polynomial
 * @param adamBeta1 decay of the first moment
 * @param adamBeta2 decay of the second moment
 * @param adamWeightDecay decoupled weight decay
 * @param adamEpsilon added to the root of the second moment
 * @param maxGradNorm the gradient's global norm is clipped to this; 0 clips nothing
 */
public record OptimizerConfig(
    double learningRate,
    LrScheduler lrScheduler,
    int lrWarmupSteps,
    int lrNumCycles,
    double lrPower,
    double adamBeta1,
    double adamBeta2,
    double adamWeightDecay,
    double adamEpsilon,
    double maxGradNorm) {}
