package dreambooth4j.train;

/**
 * What the host decides of a step.
 *
 * @param step its number, from 0
 * @param lossScale fp16's, otherwise 1
 * @param emaRate 1 − decay of the averaged weights; 0 where none are kept
 */
public record StepSettings(
    long step, double learningRate, double priorLossWeight, double lossScale, double emaRate) {}
