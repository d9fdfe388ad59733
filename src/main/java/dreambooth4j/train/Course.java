package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.data.PairSampler;
import java.util.List;
import java.util.Map;

/** How a run's steps lie in its epochs, and the batches of each step. */
final class Course {
  private final Config config;
  private PairSampler pairs;
  private final int batchesPerStep;
  private final int stepsPerEpoch;
  private final int steps;

  /** The batches of the epoch that was asked for last; empty where none was with these pairs. */
  private List<PairSampler.Batch> latest = List.of();

  private int latestEpoch;

  Course(Config config, PairSampler pairs) {
    this.config = config;
    this.pairs = pairs;
    batchesPerStep = config.training().gradientAccumulationSteps();
    stepsPerEpoch = (pairs.batchesPerEpoch() + batchesPerStep - 1) / batchesPerStep;
    Integer most = config.training().maxTrainSteps();
    steps =
        most != null ? most : Math.multiplyExact(stepsPerEpoch, config.training().numTrainEpochs());
  }

  /** Steps of the whole run. */
  int steps() {
    return steps;
  }

  /** Steps of an epoch. */
  int stepsPerEpoch() {
    return stepsPerEpoch;
  }

  /** Epochs of the whole run; the last may be cut short. */
  int epochs() {
    return (steps + stepsPerEpoch - 1) / stepsPerEpoch;
  }

  /** The epoch, counted from 0, of a step, counted from 0. */
  int epochOf(int step) {
    return step / stepsPerEpoch;
  }

  /** The batches of an epoch. */
  List<PairSampler.Batch> epoch(int epoch) {
    if (latest.isEmpty() || latestEpoch != epoch) {
      latest = pairs.epoch(epoch);
      latestEpoch = epoch;
    }
    return latest;
  }

  /** The batches whose gradients a step, counted from 0, adds up. */
  List<PairSampler.Batch> batches(int step) {
    List<PairSampler.Batch> all = epoch(epochOf(step));
    int from = step % stepsPerEpoch * batchesPerStep;
    return all.subList(from, Math.min(all.size(), from + batchesPerStep));
  }

  /** Goes on with other class images of the same pools: the epochs keep their order. */
  void show(PairSampler others) {
    if (others.batchesPerEpoch() != pairs.batchesPerEpoch()) {
      throw new IllegalArgumentException("an epoch has other batches with these class images");
    }
    pairs = others;
    latest = List.of();
  }

  /** Names all pictures and captions in short, as a checkpoint records them. */
  Map<String, String> contents() {
    return pairs.contents();
  }

  /** Whether text encoders that train still do in an epoch: they stop after their part of all. */
  boolean textEncoderTrains(int epoch) {
    return epoch < Math.ceil(config.training().stopTextEncoder() * Math.max(1, epochs()));
  }
}
