package dreambooth4j.prior;

import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Pixels;
import dreambooth4j.data.Png;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.TextToImage;
import dreambooth4j.random.CounterRandom;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.StagedFiles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes the class images that are missing, with the base model: at their bucket's size, a batch at
 * once, each picture from a seed of its own, so that it does not depend on the batch. A picture is
 * {@code <sha1 of its pixels>.png}, beside it its prompt as {@code .txt} and how it was made as
 * {@code .json}; all three appear together.
 */
public final class ClassImageGenerator {
  /** Is told what happens. */
  public interface Listener {
    /** So many of all that were missing are on disk. */
    void made(int done, int missing);
  }

  /** Two seeds may give one picture, but not so many. */
  private static final int MOST_IN_VAIN = 50;

  private final Config config;
  private final ModelFolder base;
  private final StableDiffusion model;
  private final TextToImage pipeline;

  /** A generator for this run; {@code model} has the weights of {@code base}. */
  public ClassImageGenerator(Config config, ModelFolder base, StableDiffusion model) {
    this.config = config;
    this.base = base;
    this.model = model;
    this.pipeline = new TextToImage(model, TextEncoding.of(config.model()));
  }

  /**
   * Makes what the plan misses.
   *
   * @param stop looked at after each sampler step: true leaves the rest for another time
   * @throws Problem when a picture cannot be written, or the model makes the same one again and
   *     again
   */
  public void generate(Arena run, ClassImagePlan plan, Listener listener, BooleanSupplier stop) {
    int done = 0;
    String fingerprint = plan.missing() > 0 ? BaseModel.fingerprint(base) : "";
    try {
      for (ClassImagePlan.Need need : plan.needs()) {
        int number = need.present().size();
        int left = need.missing();
        int vain = 0;
        while (left > 0 && !stop.getAsBoolean()) {
          int count = Math.min(left, config.prior().sampleBatchSize());
          List<Long> seeds = seeds(need.pool(), number, count);
          int fresh = write(need, seeds, batch(run, need, seeds, stop), fingerprint);
          vain = fresh > 0 ? 0 : vain + count;
          requireVariety(need, vain);
          number += count;
          left -= fresh;
          done += fresh;
          listener.made(done, plan.missing());
        }
      }
    } catch (CancellationException e) {
      return; // what is not written yet is made another time
    }
  }

  private static void requireVariety(ClassImagePlan.Need need, int vain) {
    if (vain > MOST_IN_VAIN + need.present().size()) {
      throw new Problem(
          Problem.Kind.FAILED,
          "class images of '%s': the last %d pictures that the base model made were all there already. Raise class_infer_steps, or ask for fewer."
              .formatted(need.pool().caption(), vain));
    }
  }

  /** The seeds of pictures {@code first} to first + count − 1 of a pool. */
  private List<Long> seeds(ClassPool pool, int first, int count) {
    String purpose = "class image " + pool.bucket() + " " + pool.caption();
    List<Long> seeds = new ArrayList<>();
    for (int i = first; i < first + count; i++) {
      CounterRandom random = CounterRandom.at(config.training().seed(), purpose, i, 0);
      seeds.add(random.nextInt() & 0xFFFFFFFFL);
    }
    return seeds;
  }

  private List<Pixels> batch(
      Arena run, ClassImagePlan.Need need, List<Long> seeds, BooleanSupplier stop) {
    ConceptConfig.ClassImages how = need.concept().classImages();
    Bucket bucket = need.pool().bucket();
    TextToImage.Request request =
        new TextToImage.Request(
            need.pool().caption(),
            how.negativePrompt(),
            bucket.width(),
            bucket.height(),
            how.inferSteps(),
            how.guidanceScale(),
            SamplerKind.chosen(sampler(how)));
    try (TorchNoise noise = TorchNoise.ofRows(seeds)) {
      return pipeline.generate(run, request, seeds.size(), noise, TextToImage.until(stop));
    }
  }

  /** A concept's own, else the run's, else null for the base model's. */
  private @Nullable String sampler(ConceptConfig.ClassImages how) {
    return how.scheduler() == null ? config.samples().scheduler() : how.scheduler();
  }

  /** Writes those that are not there yet, and counts them: two seeds may give one picture. */
  private int write(
      ClassImagePlan.Need need, List<Long> seeds, List<Pixels> pictures, String fingerprint) {
    Path folder = need.concept().classImages().dataDir();
    int fresh = 0;
    for (int i = 0; i < pictures.size(); i++) {
      Pixels each = pictures.get(i);
      String name = sha1(each);
      Path file = folder.resolve(name + ".png");
      if (Files.exists(file)) {
        continue;
      }
      try (StagedFiles files = new StagedFiles()) {
        byte[] caption = need.pool().caption().getBytes(StandardCharsets.UTF_8);
        files.add(folder.resolve(name + ".txt"), caption);
        files.add(ClassImageRecord.file(file), record(need, seeds.get(i), fingerprint).json());
        // The picture last: what is counted is whole.
        files.add(file, Png.encode(each));
        files.commit();
      }
      fresh++;
    }
    return fresh;
  }

  private ClassImageRecord record(ClassImagePlan.Need need, long seed, String fingerprint) {
    ConceptConfig.ClassImages how = need.concept().classImages();
    Bucket bucket = need.pool().bucket();
    String named = sampler(how);
    return new ClassImageRecord(
        need.pool().caption(),
        how.negativePrompt(),
        seed,
        named == null ? model.scheduler().className() : named,
        how.inferSteps(),
        how.guidanceScale(),
        bucket.width(),
        bucket.height(),
        fingerprint);
  }

  private static String sha1(Pixels picture) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(picture.rgb()));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
