package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.config.Crop;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.ImageReader;
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
  /** One row of a batch before it is tensors. */
  private record BatchRow(Path file, String prompt, Crop crop, double lossWeight, int index) {}

  private final Config config;
  private final StableDiffusion model;
  private final Caches caches;
  private final PromptEncoder encoder;
  private final List<PromptDraw> draws;

  /** Masks by the view that they are of: small, and a picture would be read for each otherwise. */
  private final Map<View, float[]> masks = new HashMap<>();

  private static final int MOST_MASKS = 10_000;
  private final Map<Path, ImageReader.Size> files = new HashMap<>();

  /** Batches of pictures that these caches read or encode. */
  PairBatches(Config config, StableDiffusion model, Caches caches) {
    this.draws =
        config.concepts().stream().map(c -> new PromptDraw(config.data().captions(), c)).toList();
    this.config = config;
    this.model = model;
    this.caches = caches;
    this.encoder = new PromptEncoder(model, TextEncoding.ofCaptions(config));
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
    Tensor latents = latents(arena, rows, batch.bucket(), step);
    Conditioning<Tensor> told = told(arena, rows, batch.bucket(), step, textEncoderTrains);
    model.rest();
    float[] lossWeights = new float[rows.size()];
    for (int i = 0; i < lossWeights.length; i++) {
      lossWeights[i] = (float) rows.get(i).lossWeight;
    }
    return new TrainingBatch(
        latents,
        told,
        batch.pairs().size(),
        rows.stream().mapToInt(BatchRow::index).toArray(),
        lossWeights,
        config.loss().masked() ? mask(arena, rows, batch, step) : null,
        null);
  }

  /** What each place of the latents counts: instance rows by their masks, class images whole. */
  private Tensor mask(Arena arena, List<BatchRow> rows, PairSampler.Batch batch, int step) {
    int factor = model.vae().config().factor();
    int height = batch.bucket().height() / factor;
    int width = batch.bucket().width() / factor;
    float[] all = new float[rows.size() * height * width];
    Arrays.fill(all, 1);
    for (int i = 0; i < batch.pairs().size(); i++) {
      Path file = batch.pairs().get(i).instance().mask();
      float[] own = mask(file, rows.get(i), view(rows.get(i), batch.bucket(), step), factor);
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

  /** A draw of each row's moments: F32 [B, h, w, channels]. */
  private Tensor latents(Arena arena, List<BatchRow> rows, Bucket bucket, int step) {
    int factor = model.vae().config().factor();
    int channels = model.vae().config().latentChannels();
    int height = bucket.height() / factor;
    int width = bucket.width() / factor;
    int each = height * width * channels;
    float[] z = new float[rows.size() * each];
    float[] draw = new float[each];
    for (int i = 0; i < rows.size(); i++) {
      BatchRow row = rows.get(i);
      random("latents", step, row).normal(draw, 0, each);
      Tensor moments = moments(arena, row, bucket, step);
      LatentCache.draw(model.vae().config(), moments, draw, z, i * each);
      moments.release();
    }
    return arena.floats("latents", z, rows.size(), height, width, channels);
  }

  private CounterRandom random(String purpose, int step, BatchRow row) {
    return CounterRandom.at(config.training().seed(), purpose, step, row.index);
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
          row(concept, picture.file(), picture.instancePrompt(), picture.crop(), step, number));
      Path classImage = pair.classImage();
      if (classImage != null) {
        Crop crop = config.concepts().get(concept).crop();
        priors.add(row(concept, classImage, pair.classPrompt(), crop, step, number + 1));
      }
      number += 2;
    }
    instances.addAll(priors);
    return instances;
  }

  private BatchRow row(int concept, Path file, String prompt, Crop crop, int step, int number) {
    double lossWeight = config.concepts().get(concept).lossWeight();
    BatchRow row = new BatchRow(file, prompt, crop, lossWeight, number);
    if (!config.data().captions().varies()) {
      return row;
    }
    String drawn = draws.get(concept).draw(prompt, random("tags", step, row));
    return new BatchRow(file, drawn, crop, lossWeight, number);
  }

  private View view(BatchRow row, Bucket bucket, int step) {
    boolean mirrored = config.data().hflip() && random("hflip", step, row).uniform() < 0.5;
    CounterRandom place = random("crop", step, row);
    return new View(row.file, bucket, row.crop.drawn(place.uniform(), place.uniform()), mirrored);
  }

  /** A picture that is cropped anew each time is encoded anew; the others' moments are kept. */
  private Tensor moments(Arena arena, BatchRow row, Bucket bucket, int step) {
    View view = view(row, bucket, step);
    return row.crop.random()
        ? caches.latents().encode(arena, view.read())
        : caches.latents().get(view);
  }

  /** Adds what a batch will ask the caches for; arguments as for {@link #batch}. */
  void collect(
      PairSampler.Batch batch, int step, int firstPair, Set<View> views, Set<String> texts) {
    for (BatchRow row : rows(batch, step, firstPair)) {
      if (!row.crop.random()) {
        views.add(view(row, batch.bucket(), step));
      }
      if (!config.data().captions().varies()) {
        texts.add(row.prompt);
      }
    }
  }

  /** What the UNet is told of each row: of its prompt, and where it wants to know, of its size. */
  private Conditioning<Tensor> told(
      Arena arena, List<BatchRow> rows, Bucket bucket, int step, boolean textEncoderTrains) {
    Conditioning<Tensor> prompts = prompts(arena, rows, textEncoderTrains);
    if (model.unet().config().added() == null) {
      return prompts;
    }
    List<PictureSizes> sizes = new ArrayList<>();
    for (BatchRow row : rows) {
      ImageReader.Size file = files.computeIfAbsent(row.file, ImageReader::size);
      sizes.add(PictureSizes.of(view(row, bucket, step), file));
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
