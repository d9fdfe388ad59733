package dreambooth4j.train;

import dreambooth4j.Sha256;
import dreambooth4j.config.Config;
import dreambooth4j.config.Crop;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.Picture;
import dreambooth4j.data.View;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Prediction;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.VaeConfig;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.LatentCache;
import dreambooth4j.pipeline.PictureSizes;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.random.CounterRandom;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The loss on pictures that are not trained on, and on some class images: the mean squared error of
 * what the saved weights predict, always at the same timesteps and noise, so that measurements can
 * be compared. Its noise is a function of the picture's place alone; a run that measures has the
 * weights of one that does not, bit for bit.
 */
final class Validation {
  /** Timesteps of each picture: the middles of as many equal parts of all. */
  private static final int TIMESTEPS = 4;

  private static final int MOST_CLASS_IMAGES = 16;

  /** One picture that is measured. */
  private record Row(Path file, Bucket bucket, Crop crop, String prompt) {
    View view() {
      return new View(file, bucket, crop.drawn(0.5, 0.5), false);
    }
  }

  private final Ranks ranks;
  private final StableDiffusion model;
  private final Caches caches;
  private final TextEncoding read;
  private final PromptEncoder encoder;
  private final NoiseSchedule schedule;
  private final List<Row> instances = new ArrayList<>();
  private final List<Row> priors = new ArrayList<>();

  /**
   * Measures on these.
   *
   * @param held pictures that are not trained on; none measures nothing
   * @param pools class images, of which some are measured too
   * @param ranks each measures a share
   */
  Validation(
      Config config,
      StableDiffusion model,
      Caches caches,
      List<Picture> held,
      Map<ClassPool, List<ClassImage>> pools,
      Ranks ranks) {
    this.ranks = ranks;
    this.model = model;
    this.caches = caches;
    read = TextEncoding.ofCaptions(config);
    encoder = new PromptEncoder(model, read);
    schedule = NoiseSchedule.of(model.scheduler());
    for (Picture each : held) {
      instances.add(new Row(each.file(), each.bucket(), each.crop(), each.instancePrompt()));
    }
    pools.forEach(
        (pool, images) -> {
          Crop crop = config.concepts().get(pool.concept()).crop();
          for (ClassImage each : images) {
            priors.add(new Row(each.file(), pool.bucket(), crop, each.prompt()));
          }
        });
    int every = Math.max(1, priors.size() / MOST_CLASS_IMAGES);
    List<Row> some = new ArrayList<>();
    for (int i = 0; i < priors.size() && some.size() < MOST_CLASS_IMAGES; i += every) {
      some.add(priors.get(i));
    }
    priors.clear();
    priors.addAll(some);
  }

  /** Whether there is anything to measure on. */
  boolean isUsed() {
    return !instances.isEmpty();
  }

  /**
   * All that decides what is compared, in a word: pictures as they are seen, prompts and how they
   * are read, timesteps and noise; of the model nothing.
   */
  String subject() {
    StringBuilder all = new StringBuilder();
    for (Row each : instances) {
      View view = each.view();
      all.append(view.content(View.Source.of(each.file))).append('\n').append(each.prompt);
      all.append('\n');
    }
    all.append(read).append(' ').append(schedule.prediction());
    for (int k = 0; k < TIMESTEPS; k++) {
      all.append(" %a".formatted(schedule.alphaBar(timestep(k))));
    }
    return Sha256.of(all.toString()).substring(0, 16);
  }

  private int timestep(int k) {
    return (2 * k + 1) * schedule.timesteps() / (2 * TIMESTEPS);
  }

  /** Measures with the weights as they would be saved now; each rank a share. */
  RunListener.Validated measure(Arena run) {
    double[] sums = new double[2];
    RuntimeException failed = null;
    try {
      model.withSavedWeights(
          () -> {
            sums[0] = sum(run, instances, 0);
            sums[1] = sum(run, priors, instances.size());
          });
    } catch (RuntimeException e) {
      failed = e; // the other ranks wait for the sums
    } finally {
      model.rest();
    }
    double[] all = ofAllRanks(sums, failed);
    @Nullable Double ofClass = priors.isEmpty() ? null : all[1] / priors.size();
    return new RunListener.Validated(all[0] / instances.size(), ofClass);
  }

  private double sum(Arena run, List<Row> rows, int first) {
    double sum = 0;
    for (int i = ranks.rank(); i < rows.size(); i += ranks.size()) {
      sum += loss(run, rows.get(i), first + i);
    }
    return sum;
  }

  private double[] ofAllRanks(double[] own, @Nullable RuntimeException failed) {
    List<String> all = ranks.gather(failed == null ? own[0] + " " + own[1] : "");
    if (failed != null) {
      throw failed;
    }
    double[] sums = new double[2];
    for (int rank = 0; rank < all.size(); rank++) {
      if (all.get(rank).isEmpty()) {
        throw new IllegalStateException("rank %d could not measure its share".formatted(rank));
      }
      String[] each = all.get(rank).split(" ", 2);
      sums[0] += Double.parseDouble(each[0]);
      sums[1] += Double.parseDouble(each[1]);
    }
    return sums;
  }

  /** The error of one picture over all timesteps; {@code place} decides its noise. */
  private double loss(Arena run, Row row, int place) {
    float[] latents = latents(row);
    int each = latents.length;
    float[] noisy = new float[TIMESTEPS * each];
    float[] target = new float[TIMESTEPS * each];
    float[] times = new float[TIMESTEPS];
    float[] noise = new float[each];
    boolean velocity = schedule.prediction() == Prediction.VELOCITY;
    for (int k = 0; k < TIMESTEPS; k++) {
      int timestep = timestep(k);
      times[k] = timestep;
      double signal = Math.sqrt(schedule.alphaBar(timestep));
      double deviation = Math.sqrt(1 - schedule.alphaBar(timestep));
      CounterRandom.at(0, "validation", k, place).normal(noise, 0, each);
      for (int i = 0; i < each; i++) {
        noisy[k * each + i] = (float) (signal * latents[i] + deviation * noise[i]);
        target[k * each + i] =
            velocity ? (float) (signal * noise[i] - deviation * latents[i]) : noise[i];
      }
    }
    float[] predicted = predicted(run, row, noisy, times);
    double sum = 0;
    for (int i = 0; i < target.length; i++) {
      double off = (double) predicted[i] - target[i];
      sum += off * off;
    }
    return sum / target.length;
  }

  private float[] latents(Row row) {
    VaeConfig vae = model.vae().config();
    Tensor moments = caches.latents().get(row.view());
    float[] latents = new float[(int) moments.count() / 2];
    LatentCache.draw(vae, moments, new float[latents.length], latents, 0);
    moments.release();
    return latents;
  }

  private float[] predicted(Arena run, Row row, float[] noisy, float[] times) {
    int factor = model.vae().config().factor();
    long height = row.bucket.height() / factor;
    long width = row.bucket.width() / factor;
    long channels = noisy.length / (TIMESTEPS * height * width);
    try (Arena arena = run.child("validation");
        Tape tape = Tape.inference(arena)) {
      Conditioning<Tensor> told = encoder.encode(arena, List.of(row.prompt));
      if (model.unet().config().added() != null) {
        PictureSizes sizes = PictureSizes.of(row.view(), ImageReader.size(row.file));
        told = told.with(Conditioning.SIZES, PictureSizes.tensor(arena, List.of(sizes)));
      }
      Conditioning<Tensor> all = Conditioning.stack(arena, Collections.nCopies(TIMESTEPS, told));
      Tensor x = arena.floats("noisy", noisy, TIMESTEPS, height, width, channels);
      Tensor at = arena.floats("timesteps", times, TIMESTEPS);
      return model
          .unet()
          .forward(tape, tape.constant(x), at, all.map((name, value) -> tape.constant(value)))
          .value()
          .toFloats();
    }
  }
}
