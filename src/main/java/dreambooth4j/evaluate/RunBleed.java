package dreambooth4j.evaluate;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.Config;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Concept;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.Models;
import dreambooth4j.pipeline.NewWords;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.EmbeddingWriter;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What a run changed besides its subject, measured at its end: few prompts, noises and timesteps,
 * and no pictures, so that it takes a small part of the time that the run took.
 */
public final class RunBleed implements AutoCloseable {
  /** The part of a run's time that a measurement may take. */
  private static final double MOST_SHARE = 0.05;

  private static final Subject.Extent EXTENT = new Subject.Extent(2, 0, 2);
  private static final int SEEDS = 2;
  private static final int TIMESTEPS = 3;

  /** Forward and backward of a picture take about three times its forward alone. */
  private static final double FORWARDS_OF_A_STEP = 3;

  /** The base model's, the trained model's, and that to the subject's prompt. */
  private static final int PREDICTIONS_OF_A_POINT = 3;

  /**
   * Where a run computes in 16 bits: the measurement is in F32, which takes about twice as long.
   */
  private static final double SLOWER_IN_F32 = 2;

  /** Weights are read at this rate or faster: they were just written, or read before. */
  private static final double BYTES_A_SECOND = 1e9;

  private final Subject subject;
  private final Trained trained;
  private final Bleed bleed;
  private final BleedOptions how;
  private final int probes;
  private final double slower;

  /**
   * A measurement that has not begun.
   *
   * @param config the run's
   * @param result the model that it saved: a folder, a single file, a LoRA file or an embedding
   * @param progress is told how many prompts have been asked so far, of {@link #asked}
   * @throws Problem when the model or the pictures cannot be found any more
   */
  public RunBleed(Config config, Path result, IntConsumer progress) {
    Concept concept = Concept.scanAll(config).get(0);
    subject = Subject.of(concept, List.of());
    probes = subject.most(EXTENT);
    int side = config.data().resolution() / 8 * 8;
    how =
        new BleedOptions(
            1,
            SEEDS,
            TIMESTEPS,
            0,
            Set.of(),
            1,
            1,
            null,
            new Bucket(side, side),
            Devices.choose(config.compute()));
    slower = config.compute().mixedPrecision() == MixedPrecision.NO ? 1 : SLOWER_IN_F32;
    ModelSource base = Models.find(config.model());
    trained = Trained.open(base, result.toString(), Models.options(config.model()));
    try {
      ModelSource to = NewWords.of(trained.source(), words(config, result));
      bleed = new Bleed(base, to, TextEncoding.of(config.model()), how, progress);
    } catch (Problem e) {
      trained.close();
      throw e;
    }
  }

  /** The files of words that were trained beside what was saved. */
  private static Map<Path, @Nullable String> words(Config config, Path result) {
    Map<Path, @Nullable String> words = new LinkedHashMap<>();
    for (String word : config.embedding().words()) {
      Path file = EmbeddingWriter.file(config.output().outputDir(), word);
      if (!file.equals(result)) {
        words.put(file, null);
      }
    }
    return words;
  }

  /** How often a model is asked about a prompt, at most. */
  public int asked() {
    return Bleed.asked(probes, how);
  }

  /**
   * What a run took.
   *
   * @param seconds from its beginning to its end
   * @param ofPicture seconds that a step took for each of its pictures
   */
  public record Cost(double seconds, double ofPicture) {}

  /** Why it is better not measured after a run of this cost, in words; null where it may be. */
  public @Nullable String refusal(Cost run) {
    long bytes = bleed.memory(probes); // most of which is weights, read of each model
    int predictions = SEEDS * TIMESTEPS * PREDICTIONS_OF_A_POINT * probes;
    double seconds =
        predictions * slower * run.ofPicture / FORWARDS_OF_A_STEP + 2 * bytes / BYTES_A_SECOND;
    if (seconds > MOST_SHARE * run.seconds) {
      return String.format(
          Locale.ROOT,
          "it would take about %.0f s, more than %.0f %% of the run's time",
          Math.ceil(seconds),
          100 * MOST_SHARE);
    }
    return bleed.lackOfRoom(bytes);
  }

  /** Measures. */
  public BleedResult measure() {
    return bleed.measure(model -> subject.probes(model, EXTENT), size -> List.of());
  }

  @Override
  public void close() {
    trained.close();
  }
}
