package dreambooth4j.train;

import dreambooth4j.data.PairSampler;
import dreambooth4j.data.View;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.pipeline.Caches;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * What is computed once, before the steps, and kept in the caches. Each rank computes its share;
 * then each reads what the others left, and computes what it cannot find.
 */
final class Preparation {
  private final Course course;
  private final PairBatches batches;
  private final Caches caches;
  private final Ranks ranks;

  Preparation(Course course, PairBatches batches, Caches caches, Ranks ranks) {
    this.course = course;
    this.batches = batches;
    this.caches = caches;
    this.ranks = ranks;
  }

  /**
   * Has the model say what the prior rows of all epochs will be compared with. Collective.
   *
   * @param training computes with the model as it is, which has not learnt yet
   * @param stop looked at after each; true leaves the rest for another time
   */
  void askBaseModel(Training training, Caches.Listener listener, BooleanSupplier stop) {
    PredictionMaker maker = new PredictionMaker(batches, training);
    Set<PairBatches.Asked> all = maker.asked(course, stop);
    maker.make(share(all), listener, stop);
    if (ranks.size() > 1) {
      ranks.await();
      maker.make(all, Caches.Listener.ofMade(listener), stop); // what no other rank left here
    }
  }

  /**
   * Encodes what the steps to come will need and the caches on disk lack. Collective.
   *
   * @param done steps that are not to come
   * @param stop looked at after each picture and prompt; true leaves the rest for another time
   */
  void fillCaches(int done, Caches.Listener listener, BooleanSupplier stop) {
    Set<View> views = new LinkedHashSet<>();
    Set<String> prompts = new LinkedHashSet<>();
    for (int i = done; i < course.steps() && !stop.getAsBoolean(); i++) {
      int pair = 0;
      for (PairSampler.Batch part : course.batches(i)) {
        batches.collect(part, i, pair, views, prompts);
        pair += part.pairs().size();
      }
    }
    caches.fill(share(views), share(prompts), listener, stop);
    if (ranks.size() > 1) {
      ranks.await();
      Caches.Listener made = Caches.Listener.ofMade(listener);
      caches.fill(views, prompts, made, stop); // what no other rank left here
    }
  }

  /** What this rank computes: of as many as there are ranks, one each. */
  private <T> Collection<T> share(Set<T> all) {
    List<T> own = new ArrayList<>();
    int number = 0;
    for (T each : all) {
      if (number++ % ranks.size() == ranks.rank()) {
        own.add(each);
      }
    }
    return own;
  }
}
