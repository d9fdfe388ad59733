package dreambooth4j.prior;

import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.config.ClassImagesConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Pixels;
import dreambooth4j.data.Png;
import dreambooth4j.diffusion.Sampler;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.TextToImage;
import dreambooth4j.random.CounterRandom;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.StagedFiles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
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
    /** So many of all that were missing are on disk: 0 when the first is begun. */
    void made(int done, int missing);

    /** Memory did not suffice: from now on so many pictures are made at once. */
    default void lessAtOnce(int count) {}

    /** One of them, before {@link #made} counts it. */
    default void written(ClassImage image) {}

    /** So many sampler steps of the pictures at hand are done. */
    default void sampled(int step, int steps) {}
  }

  /** Two seeds may give one picture, but not so many. */
  private static final int MOST_CAPTION_BYTES = 1 << 20;

  private static final int MOST_IN_VAIN = 50;

  private final Config config;
  private final ModelSource base;
  private final SchedulerConfig scheduler;
  private final TextToImage pipeline;
  private final BatchSize batchSize;
  private final int generation;

  /**
   * A generator for this run; {@code model} has the weights of {@code base}, whose noise schedule
   * is drawn with even where the model is to be trained for another.
   */
  public ClassImageGenerator(Config config, ModelSource base, StableDiffusion model) {
    this(config, base, model, 0);
  }

  /** {@code generation}: each has seeds of its own. */
  ClassImageGenerator(Config config, ModelSource base, StableDiffusion model, int generation) {
    this.generation = generation;
    this.config = config;
    this.base = base;
    this.scheduler = SchedulerConfig.of(base.config(Component.SCHEDULER));
    this.pipeline = new TextToImage(model, TextEncoding.ofCaptionsDrawn(config), scheduler);
    this.batchSize = new BatchSize(config.prior().sampleBatchSize(), ProcessMemory::available);
  }

  /**
   * Makes what the plan misses.
   *
   * @param stop looked at after each sampler step: true leaves the rest for another time
   * @throws Problem when a picture cannot be written, or the model makes the same one again and
   *     again
   */
  public void generate(Arena run, ClassImagePlan plan, Listener listener, BooleanSupplier stop) {
    generate(run, plan, listener, stop, Ranks.alone());
  }

  /**
   * As above, but of several ranks with the same plan each makes its share: every so manieth of the
   * pictures that are missing, from the seeds that one process would take.
   */
  public void generate(
      Arena run, ClassImagePlan plan, Listener listener, BooleanSupplier stop, Ranks ranks) {
    int done = 0;
    int all = share(0, plan.missing(), ranks);
    if (all == 0) {
      return;
    }
    listener.made(0, all);
    int first = 0;
    try {
      for (ClassImagePlan.Need need : plan.needs()) {
        int left = share(first, need.missing(), ranks);
        Iterator<Long> drawn =
            left > 0 ? share(seeds(need), first, ranks) : Collections.emptyIterator();
        List<Long> seeds = new ArrayList<>(); // for the pictures that are left
        first += need.missing();
        int vain = 0;
        while (left > 0 && !stop.getAsBoolean()) {
          while (seeds.size() < left) {
            seeds.add(drawn.next());
          }
          List<Pixels> pictures = batch(run, need, seeds, listener, stop);
          int count = pictures.size();
          int fresh = write(need, seeds.subList(0, count), pictures, listener);
          seeds.subList(0, count).clear();
          vain = fresh > 0 ? 0 : vain + count;
          requireVariety(need, vain);
          left -= fresh;
          done += fresh;
          listener.made(done, all);
        }
      }
    } catch (CancellationException e) {
      return; // what is not written yet is made another time
    }
  }

  /** How many of the missing pictures from number {@code first} on are this rank's. */
  private static int share(int first, int missing, Ranks ranks) {
    return (int) IntStream.range(first, first + missing).filter(i -> isOwn(i, ranks)).count();
  }

  /** Those seeds that are this rank's, if the first is of the picture of this number. */
  private static Iterator<Long> share(Iterator<Long> seeds, int first, Ranks ranks) {
    return IntStream.iterate(first, number -> number + 1)
        .mapToObj(number -> Map.entry(number, seeds.next()))
        .filter(each -> isOwn(each.getKey(), ranks))
        .map(Map.Entry::getValue)
        .iterator();
  }

  private static boolean isOwn(int number, Ranks ranks) {
    return number % ranks.size() == ranks.rank();
  }

  private static void requireVariety(ClassImagePlan.Need need, int vain) {
    if (vain > MOST_IN_VAIN + need.present().size()) {
      throw new Problem(
          Problem.Kind.FAILED,
          "class images of '%s': the last %d pictures that the base model made were all there already. Raise class_infer_steps, or ask for fewer."
              .formatted(need.pool().caption(), vain));
    }
  }

  /**
   * The seeds of a pool's pictures from the first missing one on, without those of pictures that
   * are there or were deleted by hand: they would only give those again.
   */
  private Iterator<Long> seeds(ClassImagePlan.Need need) {
    String purpose = "class image " + need.pool().bucket() + " " + need.pool().caption();
    DeletedImages deleted = DeletedImages.of(need.concept());
    Set<Long> used =
        Stream.concat(need.present().stream().map(ClassImage::file), deleted.pictures().stream())
            .map(ClassImageRecord::beside)
            .filter(Objects::nonNull)
            .map(ClassImageRecord::seed)
            .collect(Collectors.toSet());
    return IntStream.iterate(need.present().size(), number -> number + 1)
        .mapToObj(number -> CounterRandom.at(config.training().seed(), purpose, number, generation))
        .map(random -> random.nextInt() & 0xFFFFFFFFL)
        .filter(seed -> !used.contains(seed))
        .iterator();
  }

  /** Makes pictures of the first seeds, as many as may be made at once. */
  private List<Pixels> batch(
      Arena run,
      ClassImagePlan.Need need,
      List<Long> seeds,
      Listener listener,
      BooleanSupplier stop) {
    Bucket bucket = need.pool().bucket();
    while (true) {
      int count = Math.min(seeds.size(), batchSize.of(bucket));
      try {
        IntConsumer progress = step -> listener.sampled(step, steps(need));
        return attempt(
            run,
            need,
            steps(need),
            seeds.subList(0, count),
            progress.andThen(TextToImage.until(stop)));
      } catch (Problem e) {
        if (e.kind() != Problem.Kind.MEMORY || !batchSize.halve(bucket, count)) {
          throw e;
        }
        listener.lessAtOnce(batchSize.of(bucket));
      }
    }
  }

  private List<Pixels> attempt(
      Arena run, ClassImagePlan.Need need, int steps, List<Long> seeds, IntConsumer progress) {
    long before = run.meter().liveBytes();
    List<Pixels> pictures = new ArrayList<>();
    try (TorchNoise noise = TorchNoise.ofRows(seeds)) {
      long peak =
          run.meter()
              .peakOf(
                  () ->
                      pictures.addAll(
                          pipeline.generate(
                              run, request(need, steps), seeds.size(), noise, progress)));
      batchSize.took(need.pool().bucket(), seeds.size(), peak - before);
    }
    return pictures;
  }

  private TextToImage.Request request(ClassImagePlan.Need need, int steps) {
    ClassImagesConfig how = need.concept().classImages();
    return new TextToImage.Request(
        need.pool().caption(),
        TextToImage.unlessEmpty(how.negativePrompt()),
        need.pool().bucket().width(),
        need.pool().bucket().height(),
        steps,
        how.guidanceScale(),
        sampler(how));
  }

  private static int steps(ClassImagePlan.Need need) {
    return need.concept().classImages().inferSteps();
  }

  /**
   * Says how long {@link #generate} will take, by timing a batch of the size that most is to be
   * made of: two steps of the sampler, of which the second counts, and the decoding. Nothing is
   * written.
   *
   * @param plan one that misses something
   * @param clock nanoseconds from anywhere
   */
  public Forecast forecast(Arena run, ClassImagePlan plan, LongSupplier clock) {
    ClassImagePlan.Need most =
        plan.needs().stream()
            .max(Comparator.comparingInt(ClassImagePlan.Need::missing))
            .orElseThrow();
    int pictures = 0;
    List<Long> times = new ArrayList<>();
    // Once more where the first picture alone says that memory allows several.
    while (pictures < Math.min(most.missing(), batchSize.of(most.pool().bucket()))) {
      pictures = Math.min(most.missing(), batchSize.of(most.pool().bucket()));
      times.clear();
      List<Long> seeds = Stream.generate(seeds(most)::next).limit(pictures).toList();
      attempt(run, most, 2, seeds, i -> times.add(clock.getAsLong()));
      times.add(clock.getAsLong());
    }
    int last = times.size() - 1;
    Forecast.Speed speed =
        new Forecast.Speed(
            most.pool().bucket(),
            pictures,
            Forecast.isGuided(most),
            (times.get(last - 1) - times.get(last - 2)) / 1e9,
            (times.get(last) - times.get(last - 1)) / 1e9);
    return Forecast.of(plan, speed, this::evaluations);
  }

  /** How often the sampler asks the network for one picture: some ask once more than they step. */
  private int evaluations(ClassImagePlan.Need need) {
    SamplerKind kind = sampler(need.concept().classImages());
    try (Sampler steps = SamplerKind.forModel(scheduler, kind)) {
      steps.begin(steps(need));
      return steps.timesteps().length;
    }
  }

  /** A concept's own, else the run's, else null for the base model's. */
  private @Nullable SamplerKind sampler(ClassImagesConfig how) {
    return how.scheduler() == null ? config.samples().scheduler() : how.scheduler();
  }

  /**
   * Writes those that are not there yet, and counts them: two seeds may give one picture. One that
   * was made for another concept of this folder meanwhile counts too.
   */
  private int write(
      ClassImagePlan.Need need, List<Long> seeds, List<Pixels> pictures, Listener listener) {
    Path folder = need.concept().classImages().dataDir();
    DeletedImages deleted = DeletedImages.of(need.concept());
    int fresh = 0;
    for (int i = 0; i < pictures.size(); i++) {
      Pixels each = pictures.get(i);
      Path file = folder.resolve(sha1(each) + ".png");
      if (deleted.has(file) || (Files.exists(file) && !isOf(need, seeds.get(i), file))) {
        continue;
      }
      if (!Files.exists(file)) {
        write(need, seeds.get(i), each, file);
      }
      listener.written(new ClassImage(file, need.pool().caption(), 1));
      fresh++;
    }
    return fresh;
  }

  private void write(ClassImagePlan.Need need, long seed, Pixels picture, Path file) {
    try (StagedFiles files = new StagedFiles()) {
      files.add(caption(file), need.pool().caption().getBytes(StandardCharsets.UTF_8));
      files.add(ClassImageRecord.file(file), record(need, seed).json());
      // The picture last: what is counted is whole.
      files.add(file, Png.encode(picture));
      files.commit();
    }
  }

  /** Whether a picture that is there is one of the pool's, made from this seed. */
  private static boolean isOf(ClassImagePlan.Need need, long seed, Path file) {
    ClassImageRecord record = ClassImageRecord.beside(file);
    if (record == null || record.seed() != seed) {
      return false;
    }
    ClassPool pool = need.pool();
    try {
      return record.prompt().equals(pool.caption())
          && record.width() == pool.bucket().width()
          && record.height() == pool.bucket().height()
          && RegularFile.text(caption(file), MOST_CAPTION_BYTES).equals(pool.caption());
    } catch (Problem e) {
      return false; // without its caption it does not count
    }
  }

  private static Path caption(Path picture) {
    return picture.resolveSibling(
        String.valueOf(picture.getFileName()).replaceFirst("\\.png$", ".txt"));
  }

  private ClassImageRecord record(ClassImagePlan.Need need, long seed) {
    ClassImagesConfig how = need.concept().classImages();
    Bucket bucket = need.pool().bucket();
    SamplerKind chosen = sampler(how);
    return new ClassImageRecord(
        need.pool().caption(),
        how.negativePrompt(),
        seed,
        chosen == null ? scheduler.className() : chosen.label(),
        how.inferSteps(),
        how.guidanceScale(),
        bucket.width(),
        bucket.height(),
        BaseModel.fingerprint(base));
  }

  private static String sha1(Pixels picture) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(picture.rgb()));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
