package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.prior.ClassImageGenerator;
import dreambooth4j.prior.ClassImagePlan;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Is told what happens, on the training thread. */
public interface RunListener
    extends Trainer.Listener, ClassImageGenerator.Listener, Caches.Listener {
  /** What will be trained, after the pictures were looked through. */
  void planned(Config config, List<Concept> concepts, ClassImagePlan plan);

  /** The class images are made; {@code plan} has those that will be trained with. */
  void paired(Config config, List<Concept> concepts, ClassImagePlan plan);

  /** How much memory it will need, before any is used. */
  void forecast(MemoryForecast memory);

  /** All is in memory; training begins. */
  void ready(Beginning beginning);

  /** Training has ended, as it should or not: the most memory that it took. */
  void ended(PeakMemory peak);

  /** So many samples are about to be drawn, which can take a while. */
  void sampling(int step, int pictures);

  /** Samples were drawn after so many steps. */
  void sampled(int step, List<SamplePictures.Sample> samples);

  /** The loss on held-out pictures was measured after so many steps. */
  void validated(int step, Validated losses);

  /** The model of the least loss on held-out pictures so far is complete on disk. */
  void savedBest(Path path, int step);

  /** The run ends before its last step, for this reason. */
  void endsEarly(int step, String why);

  /** A checkpoint is complete on disk. */
  void saved(Path path, int step);

  /** What is learnt so far is complete on disk, beside what there will be at the end. */
  void savedOnTheWay(Path path, int step);

  /** What was learnt is complete on disk: a model's folder, or a file of adapters. */
  void savedResult(Path path, int step);

  /** Something to know that stops nothing. */
  void warning(String message);

  /**
   * Losses on pictures that are not trained on.
   *
   * @param instance of the subject's, which decides what is best
   * @param prior of class images; null where there are none
   */
  record Validated(double instance, @Nullable Double prior) {}

  /**
   * A training that is about to begin.
   *
   * @param done steps that an earlier run has done
   * @param steps of the whole training
   * @param precision what it computes in, in words
   * @param averages whether the average of the weights is what is sampled and saved
   * @param tensorBytes tells the most that tensors have held at once since it began, in bytes
   */
  record Beginning(
      int done,
      int steps,
      int stepsPerEpoch,
      String precision,
      boolean averages,
      LongSupplier tensorBytes) {}

  /**
   * The most memory that was held at once.
   *
   * @param tensorBytes in tensors
   * @param gpuBytes of the GPU, where it trained on one
   */
  record PeakMemory(long tensorBytes, OptionalLong gpuBytes) {}
}
