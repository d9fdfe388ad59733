package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.PairSampler;
import dreambooth4j.distributed.Ranks;
import java.util.ArrayList;
import java.util.List;

/**
 * The part of a step's batch that one rank computes. The pairs of a step, in their order, are cut
 * into as many stretches as there are ranks, as alike in length as can be. Draws are a function of
 * a pair's place in the step and each row keeps its weight in the whole batch, so that the sum of
 * all ranks' gradients is the one process' gradient.
 *
 * @param pairs some or all of the pairs of one batch
 * @param first the place of the first of them in the step
 * @param weight the part of that batch's pairs that these are
 */
record RankShare(PairSampler.Batch pairs, int first, float weight) {
  /**
   * What one of so many ranks computes of a step: of several batches, those that it has a part in.
   */
  static List<RankShare> of(List<PairSampler.Batch> batches, int rank, int size) {
    int all = batches.stream().mapToInt(each -> each.pairs().size()).sum();
    int from = (int) ((long) all * rank / size);
    int to = (int) ((long) all * (rank + 1) / size);
    List<RankShare> shares = new ArrayList<>();
    int begin = 0;
    for (PairSampler.Batch batch : batches) {
      int count = batch.pairs().size();
      int first = Math.max(from, begin);
      int end = Math.min(to, begin + count);
      if (first < end) {
        PairSampler.Batch part =
            new PairSampler.Batch(
                batch.bucket(), batch.pairs().subList(first - begin, end - begin));
        shares.add(new RankShare(part, first, (float) (end - first) / count));
      }
      begin += count;
    }
    return shares;
  }

  /** The most pairs that a rank computes at once. */
  static int largest(Config config, Ranks ranks) {
    int batch = config.training().trainBatchSize();
    int step = Math.multiplyExact(batch, config.training().gradientAccumulationSteps());
    return Math.min(batch, (step + ranks.size() - 1) / ranks.size());
  }

  /**
   * Makes sure that each rank has something to do.
   *
   * @throws Problem where a step has fewer pairs than there are ranks
   */
  static void requireWork(Config config, Ranks ranks) {
    int batch = config.training().trainBatchSize();
    int several = config.training().gradientAccumulationSteps();
    if ((long) batch * several < ranks.size()) {
      throw Problem.usage(
          "a step has %d pairs (train_batch_size %d × gradient_accumulation_steps %d), which %d ranks share: raise train_batch_size to %d or more, or start fewer ranks"
              .formatted(
                  batch * several,
                  batch,
                  several,
                  ranks.size(),
                  (ranks.size() + several - 1) / several));
    }
  }

  /** Weighs the rows of these pairs by their part of the batch. */
  TrainingBatch weighed(TrainingBatch rows) {
    float[] weights = rows.lossWeights();
    for (int i = 0; i < weights.length; i++) {
      weights[i] *= weight;
    }
    return rows;
  }
}
