package dreambooth4j.evaluate;

import dreambooth4j.data.Bucket;
import dreambooth4j.data.Pixels;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Sampler;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.pipeline.LatentCache;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.TextToImage;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/** One model in memory that is asked: for predictions, pictures and features. */
final class Asked {
  /** Features are looked for in pictures with a quarter of all noise steps on them. */
  private static final int NOISE_OF_FEATURES = 4;

  private final Arena arena;
  private final StableDiffusion model;
  private final TextToImage pipeline;
  private final BleedOptions how;
  private final Bucket size;

  Asked(Arena arena, StableDiffusion model, TextEncoding encoding, BleedOptions how) {
    this.arena = arena;
    this.model = model;
    this.how = how;
    pipeline = new TextToImage(model, encoding);
    int usual = model.unet().config().sampleSize() * model.vae().config().factor();
    Bucket wanted = how.size();
    size = wanted == null ? new Bucket(usual, usual) : wanted;
  }

  /** The size of all pictures. */
  Bucket size() {
    return size;
  }

  /**
   * What the base model said of noisy latents at one timestep; latents and answer are of every
   * seed: [seeds, h, w, channels].
   */
  @SuppressWarnings("ArrayRecordComponent") // handed from one model to the other, never compared
  record Point(double timestep, float[] latents, float[] answer) {}

  private TextToImage.Request request(
      String prompt, int steps, double guidance, @Nullable SamplerKind sampler) {
    return new TextToImage.Request(
        prompt, null, size.width(), size.height(), steps, guidance, sampler);
  }

  private TextToImage.Request plain(String prompt) {
    return request(prompt, how.timesteps(), 1, SamplerKind.DDIM);
  }

  private static List<Long> seeds(long first, int count) {
    return LongStream.range(first, first + count).boxed().toList();
  }

  private long[] shape(int rows) {
    int factor = model.vae().config().factor();
    return new long[] {
      rows, size.height() / factor, size.width() / factor, model.unet().config().inChannels()
    };
  }

  /** What this model says of a prompt on its way from noise to a picture of it, by DDIM. */
  List<Point> path(String prompt) {
    List<Point> path = new ArrayList<>();
    long[] shape = shape(how.seeds());
    try (Arena own = arena.child("path");
        TorchNoise noise = TorchNoise.ofRows(seeds(how.seed(), how.seeds()));
        Sampler sampler = SamplerKind.forModel(model.scheduler(), SamplerKind.DDIM)) {
      sampler.begin(how.timesteps());
      double[] timesteps = sampler.timesteps();
      Tensor x = noise.draw(own, shape[0], shape[1], shape[2], shape[3]);
      for (int i = 0; i < timesteps.length; i++) {
        float[] answer = pipeline.predict(own, plain(prompt), x, timesteps[i]);
        path.add(new Point(timesteps[i], x.toFloats(), answer));
        Tensor before = x;
        Tensor said = own.floats("answer", answer, shape);
        x =
            sampler.step(
                own,
                said,
                before,
                i,
                () -> noise.draw(own, shape[0], shape[1], shape[2], shape[3]));
        said.release();
        before.release();
      }
    }
    return path;
  }

  /** What this model predicts there, as the point's latents. */
  float[] predict(String prompt, Point at) {
    try (Arena own = arena.child("predict")) {
      Tensor x = own.floats("latents", at.latents, shape(how.seeds()));
      return pipeline.predict(own, plain(prompt), x, at.timestep);
    }
  }

  /** Draws pictures of a prompt. */
  List<Pixels> draw(String prompt) {
    try (TorchNoise noise = TorchNoise.ofRows(seeds(how.seed(), how.pictures()))) {
      TextToImage.Request request = request(prompt, how.steps(), how.guidance(), null);
      return pipeline.generate(arena, request, how.pictures(), noise, step -> {});
    }
  }

  /**
   * Features of pictures: what the middle of the UNet makes of them under some noise, without a
   * prompt, averaged over the picture, as in DIFT (Tang et al. 2023, arXiv:2306.03881). One vector
   * a picture.
   */
  List<float[]> features(List<Pixels> pictures) {
    List<float[]> features = new ArrayList<>();
    for (Pixels picture : pictures) {
      features.add(features(picture));
    }
    return features;
  }

  private float[] features(Pixels picture) {
    NoiseSchedule schedule = NoiseSchedule.of(model.scheduler());
    long timestep = schedule.timesteps() / NOISE_OF_FEATURES;
    double signal = Math.sqrt(schedule.alphaBar(timestep));
    double deviation = Math.sqrt(1 - schedule.alphaBar(timestep));
    try (Arena own = arena.child("features");
        TorchNoise noise = TorchNoise.ofBatch(how.seed())) {
      Tensor pixels =
          own.floats("picture", picture.toFloats(), 1, picture.height(), picture.width(), 3);
      float[] latents = latents(own, pixels);
      int factor = model.vae().config().factor();
      long height = picture.height() / factor;
      long width = picture.width() / factor;
      long channels = latents.length / (height * width);
      float[] drawn = noise.draw(own, 1, height, width, channels).toFloats();
      for (int i = 0; i < latents.length; i++) {
        latents[i] = (float) (signal * latents[i] + deviation * drawn[i]);
      }
      Tensor x = own.floats("latents", latents, 1, height, width, channels);
      return averaged(pipeline.features(own, plain(""), x, (double) timestep));
    }
  }

  /** The mean of what the VAE says, scaled as the UNet learns it. */
  private float[] latents(Arena own, Tensor pixels) {
    try (Tape tape = Tape.inference(own)) {
      Tensor moments = model.vae().encode(tape, tape.constant(pixels)).value();
      float[] latents = new float[(int) moments.count() / 2];
      LatentCache.draw(model.vae().config(), moments, new float[latents.length], latents, 0);
      return latents;
    }
  }

  /** [places, channels] over the places. */
  private float[] averaged(float[] features) {
    List<Integer> widths = model.unet().config().blockOutChannels();
    int channels = widths.get(widths.size() - 1);
    double[] sums = new double[channels];
    for (int i = 0; i < features.length; i++) {
      sums[i % channels] += features[i];
    }
    float[] means = new float[channels];
    for (int c = 0; c < channels; c++) {
      means[c] = (float) (sums[c] * channels / features.length);
    }
    return means;
  }
}
