package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.config.Crop;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.ImageSize;
import dreambooth4j.data.LossMask;
import dreambooth4j.data.PairSampler;
import dreambooth4j.data.Picture;
import dreambooth4j.data.Pixels;
import dreambooth4j.data.PromptDraw;
import dreambooth4j.data.View;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.LatentCache;
import dreambooth4j.pipeline.PictureSizes;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.random.CounterRandom;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Pairs of pictures as a step takes them: latents and prompts. Every draw is a function of (seed,
 * purpose, step, row); the pair at place p of a step, whatever batch it falls into, has rows 2p
 * (instance) and 2p + 1 (prior). So another split into batches gives the same numbers; the step's
 * own draws, noise and timesteps, are made so too.
 */
final class PairBatches {
  /**
   * One row of a batch before it is tensors.
   *
   * @param step whose draws it is seen by, with the index
   * @param known whether the base model was asked about it before the training
   */
  private record BatchRow(
      Path file, String prompt, Crop crop, double lossWeight, int step, int index, boolean known) {}

  /** A prior row that the base model is asked about before the training. */
  record Asked(BatchRow row, Bucket bucket) {
    /** The number of its draws. */
    int draw() {
      return row.step;
    }

    /** The class prompt, as it is drawn. */
    String prompt() {
      return row.prompt;
    }
  }

  private final Config config;
  private final StableDiffusion model;
  private final Caches caches;
  private final PromptEncoder encoder;
  private final List<PromptDraw> draws;
  private final PriorPredictions predictions;

  /** Masks by the view that they are of: small, and a picture would be read for each otherwise. */
  private final Map<View, float[]> masks = new HashMap<>();

  private static final int MOST_MASKS = 10_000;
  private final Map<Path, ImageSize> files = new HashMap<>();

  /** Batches of pictures that these caches read or encode. */
  PairBatches(Config config, StableDiffusion model, Caches caches) {
    this.draws =
        config.concepts().stream().map(c -> new PromptDraw(config.data().captions(), c)).toList();
    this.config = config;
    this.model = model;
    this.caches = caches;
    this.encoder = new PromptEncoder(model, TextEncoding.ofCaptions(config));
    this.predictions = new PriorPredictions(config, model, caches);
  }

  /**
   * Reads one batch from the caches; its tensors are {@code arena}'s.
   *
   * @param step the step, from 0
   * @param firstPair the place in the step of the batch's first pair
   * @param textEncoderTrains whether the prompts come as tokens, to be encoded on the tape
   */
  TrainingBatch batch(
      Arena arena, PairSampler.Batch batch, int step, int firstPair, boolean textEncoderTrains) {
    List<BatchRow> rows = rows(batch, step, firstPair);
    TrainingBatch made =
        batch(
            arena,
            rows,
            batch.bucket(),
            batch.pairs().size(),
            config.loss().masked() ? mask(arena, rows, batch) : null,
            textEncoderTrains);
    return rows.stream().anyMatch(BatchRow::known)
        ? made.with(known(arena, rows, batch.bucket()))
        : made;
  }

  /** The batch of a single row by which the base model is asked. */
  TrainingBatch batch(Arena arena, Asked asked) {
    BatchRow row = asked.row;
    BatchRow drawn =
        new BatchRow(row.file, row.prompt, row.crop, row.lossWeight, row.step, row.index, false);
    return batch(arena, List.of(drawn), asked.bucket, 1, null, config.promptsLearn());
  }

  private TrainingBatch batch(
      Arena arena,
      List<BatchRow> rows,
      Bucket bucket,
      int instances,
      @Nullable Tensor mask,
      boolean textEncoderTrains) {
    Tensor latents = latents(arena, rows, bucket);
    Conditioning<Tensor> told = told(arena, rows, bucket, textEncoderTrains);
    model.rest();
    float[] lossWeights = new float[rows.size()];
    for (int i = 0; i < lossWeights.length; i++) {
      lossWeights[i] = (float) rows.get(i).lossWeight;
    }
    return new TrainingBatch(
        latents,
        told,
        instances,
        rows.stream().mapToInt(BatchRow::index).toArray(),
        lossWeights,
        mask,
        null,
        null);
  }

  /** What the base model said of prior rows before the training. */
  private TrainingBatch.Known known(Arena arena, List<BatchRow> rows, Bucket bucket) {
    List<Asked> asked =
        rows.stream().filter(BatchRow::known).map(row -> new Asked(row, bucket)).toList();
    int each = elements(asked.get(0));
    float[] noisy = new float[asked.size() * each];
    float[] targets = new float[asked.size() * each];
    long[] timesteps = new long[asked.size()];
    for (int i = 0; i < timesteps.length; i++) {
      PriorPredictions.Prediction kept = predictions.get(content(asked.get(i)), each);
      System.arraycopy(kept.noisy(), 0, noisy, i * each, each);
      System.arraycopy(kept.target(), 0, targets, i * each, each);
      timesteps[i] = kept.timestep();
    }
    long[] shape = latentShape(bucket, timesteps.length);
    return new TrainingBatch.Known(
        arena.floats("known noisy", noisy, shape),
        arena.floats("known targets", targets, shape),
        timesteps);
  }

  /** The prior rows of a batch that the base model is asked about before the training. */
  List<Asked> asked(PairSampler.Batch batch) {
    return rows(batch, 0, 0).stream()
        .filter(BatchRow::known)
        .map(row -> new Asked(row, batch.bucket()))
        .toList();
  }

  /** By what the answer is known. */
  String content(Asked asked) {
    BatchRow row = asked.row;
    String latents = caches.latents().content(view(row, asked.bucket));
    return predictions.content(latents, row.prompt, row.step, row.index);
  }

  /** Elements of the latents that it is asked with. */
  int elements(Asked asked) {
    return Math.toIntExact(Tensor.count(latentShape(asked.bucket, 1)));
  }

  /** What is known of prior rows. */
  PriorPredictions predictions() {
    return predictions;
  }

  private long[] latentShape(Bucket bucket, int rows) {
    int factor = model.vae().config().factor();
    int channels = model.vae().config().latentChannels();
    return new long[] {rows, bucket.height() / factor, bucket.width() / factor, channels};
  }

  /** What each place of the latents counts: instance rows by their masks, class images whole. */
  private Tensor mask(Arena arena, List<BatchRow> rows, PairSampler.Batch batch) {
    int factor = model.vae().config().factor();
    int height = batch.bucket().height() / factor;
    int width = batch.bucket().width() / factor;
    float[] all = new float[rows.size() * height * width];
    Arrays.fill(all, 1);
    for (int i = 0; i < batch.pairs().size(); i++) {
      Path file = batch.pairs().get(i).instance().mask();
      float[] own = mask(file, rows.get(i), view(rows.get(i), batch.bucket()), factor);
      System.arraycopy(own, 0, all, i * height * width, own.length);
    }
    return arena.floats("mask", all, rows.size(), height, width);
  }

  /** Of a picture without a mask, nothing. */
  private float[] mask(@Nullable Path file, BatchRow row, View view, int factor) {
    float[] known = masks.get(view);
    if (known != null) {
      return known;
    }
    Pixels pixels = LossMask.of(view, file);
    float[] made =
        pixels == null
            ? new float[0]
            : LossMask.weights(
                LossMask.averaged(pixels, factor),
                config.loss().unmaskedWeight(),
                config.loss().normalizesMasks());
    if (!row.crop.random() && masks.size() < MOST_MASKS) {
      masks.put(view, made);
    }
    return made;
  }

  /** A draw of each row's moments: F32 [B, h, w, channels]; of what is known before, zeros. */
  private Tensor latents(Arena arena, List<BatchRow> rows, Bucket bucket) {
    long[] shape = latentShape(bucket, rows.size());
    float[] z = new float[Math.toIntExact(Tensor.count(shape))];
    int each = z.length / rows.size();
    float[] draw = new float[each];
    for (int i = 0; i < rows.size(); i++) {
      BatchRow row = rows.get(i);
      if (!row.known) {
        random("latents", row).normal(draw, 0, each);
        Tensor moments = moments(arena, row, bucket);
        LatentCache.draw(model.vae().config(), moments, draw, z, i * each);
        moments.release();
      }
    }
    return arena.floats("latents", z, shape);
  }

  private CounterRandom random(String purpose, BatchRow row) {
    return CounterRandom.at(config.training().seed(), purpose, row.step, row.index);
  }

  /** Instance rows, then prior rows. */
  private List<BatchRow> rows(PairSampler.Batch batch, int step, int firstPair) {
    List<BatchRow> instances = new ArrayList<>();
    List<BatchRow> priors = new ArrayList<>();
    int number = 2 * firstPair;
    for (PairSampler.Pair pair : batch.pairs()) {
      Picture picture = pair.instance();
      int concept = picture.concept();
      instances.add(
          drawn(
              concept,
              new BatchRow(
                  picture.file(),
                  picture.instancePrompt(),
                  picture.crop(),
                  lossWeight(concept),
                  step,
                  number,
                  false)));
      ClassImage prior = pair.prior();
      if (prior != null) {
        boolean known = prior.isFixed();
        priors.add(
            drawn(
                concept,
                new BatchRow(
                    prior.file(),
                    prior.prompt(),
                    config.concepts().get(concept).crop(),
                    lossWeight(concept),
                    known ? prior.draw() : step,
                    known ? fixedIndex(prior) : number + 1,
                    known)));
      }
      number += 2;
    }
    instances.addAll(priors);
    return instances;
  }

  /** The same wherever the picture lies among others, so that more of them change nothing of it. */
  private static int fixedIndex(ClassImage prior) {
    return 31 * String.valueOf(prior.file().getFileName()).hashCode() + prior.prompt().hashCode();
  }

  private double lossWeight(int concept) {
    return config.concepts().get(concept).lossWeight();
  }

  /** With the tags that its draws leave, in their order. */
  private BatchRow drawn(int concept, BatchRow row) {
    if (!config.data().captions().varies()) {
      return row;
    }
    String prompt = draws.get(concept).draw(row.prompt, random("tags", row));
    return new BatchRow(row.file, prompt, row.crop, row.lossWeight, row.step, row.index, row.known);
  }

  private View view(BatchRow row, Bucket bucket) {
    boolean mirrored = config.data().hflip() && random("hflip", row).uniform() < 0.5;
    CounterRandom place = random("crop", row);
    return new View(row.file, bucket, row.crop.drawn(place.uniform(), place.uniform()), mirrored);
  }

  /** A picture that is cropped anew each time is encoded anew; the others' moments are kept. */
  private Tensor moments(Arena arena, BatchRow row, Bucket bucket) {
    View view = view(row, bucket);
    return row.crop.random()
        ? caches.latents().encode(arena, view.read())
        : caches.latents().get(view);
  }

  /** Adds what a batch will ask the caches for; arguments as for {@link #batch}. */
  void collect(
      PairSampler.Batch batch, int step, int firstPair, Set<View> views, Set<String> texts) {
    for (BatchRow row : rows(batch, step, firstPair)) {
      if (!row.crop.random() && !row.known) {
        views.add(view(row, batch.bucket()));
      }
      if (!config.data().captions().varies()) {
        texts.add(row.prompt);
      }
    }
  }

  /** What the UNet is told of each row: of its prompt, and where it wants to know, of its size. */
  private Conditioning<Tensor> told(
      Arena arena, List<BatchRow> rows, Bucket bucket, boolean textEncoderTrains) {
    Conditioning<Tensor> prompts = prompts(arena, rows, textEncoderTrains);
    if (model.unet().config().added() == null) {
      return prompts;
    }
    List<PictureSizes> sizes = new ArrayList<>();
    for (BatchRow row : rows) {
      ImageSize file = files.computeIfAbsent(row.file, ImageReader::size);
      sizes.add(PictureSizes.of(view(row, bucket), file));
    }
    return prompts.with(Conditioning.SIZES, PictureSizes.tensor(arena, sizes));
  }

  /** Token ids where the text encoders train, otherwise what they say. */
  private Conditioning<Tensor> prompts(
      Arena arena, List<BatchRow> rows, boolean textEncoderTrains) {
    List<String> texts = rows.stream().map(BatchRow::prompt).toList();
    if (textEncoderTrains) {
      return encoder.tokens(arena, texts);
    }
    // Tags that are drawn anew seldom come twice in the same way: not worth remembering.
    return config.data().captions().varies()
        ? encoder.encode(arena, texts)
        : caches.prompts().get(arena, texts);
  }
}
