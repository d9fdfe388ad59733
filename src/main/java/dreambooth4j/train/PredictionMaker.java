package dreambooth4j.train;

import dreambooth4j.pipeline.Caches;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * Has a model that has not begun to learn say all that the steps of a run will compare prior rows
 * with. What is there already is not asked again, so that a run that was killed meanwhile goes on.
 */
final class PredictionMaker {
  /** What it is called where progress is told. */
  private static final String NAME = "predictions";

  private final PairBatches batches;
  private final Training training;

  PredictionMaker(PairBatches batches, Training training) {
    this.batches = batches;
    this.training = training;
  }

  /** What a run's epochs ask of it, in their order; less where {@code stop} becomes true. */
  Set<PairBatches.Asked> asked(Course course, BooleanSupplier stop) {
    Set<PairBatches.Asked> all = new LinkedHashSet<>();
    for (int epoch = 0; epoch < course.epochs() && !stop.getAsBoolean(); epoch++) {
      course.epoch(epoch).forEach(batch -> all.addAll(batches.asked(batch)));
    }
    return all;
  }

  /**
   * Makes those of these that are missing, or damaged.
   *
   * @param stop looked at after each; true leaves the rest for another time
   */
  void make(Collection<PairBatches.Asked> all, Caches.Listener listener, BooleanSupplier stop) {
    PriorPredictions predictions = batches.predictions();
    List<PairBatches.Asked> missing = new ArrayList<>();
    for (PairBatches.Asked each : all) {
      if (!predictions.cache().has(batches.content(each))) {
        missing.add(each);
      }
    }
    Path folder = predictions.cache().folder();
    if (folder != null) {
      listener.cached(NAME, all.size() - missing.size(), all.size(), folder);
    }
    Set<PairBatches.Asked> there = new LinkedHashSet<>(all);
    there.removeAll(Set.copyOf(missing));
    there.stream().takeWhile(each -> !stop.getAsBoolean()).forEach(this::make); // unless damaged
    for (int i = 0; i < missing.size() && !stop.getAsBoolean(); i++) {
      make(missing.get(i));
      listener.encoded(NAME, i + 1, missing.size());
    }
  }

  private void make(PairBatches.Asked asked) {
    batches
        .predictions()
        .fill(
            batches.content(asked),
            batches.elements(asked),
            () -> training.predict(arena -> batches.batch(arena, asked), asked.draw()));
  }
}
