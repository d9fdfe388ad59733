package dreambooth4j.train;

import dreambooth4j.config.ConceptSamplesConfig;
import dreambooth4j.config.Config;
import dreambooth4j.config.SamplePrompt;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Pixels;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.pipeline.PictureMemory;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.TextToImage;
import dreambooth4j.pipeline.Wildcards;
import dreambooth4j.weights.LoraChanges;
import dreambooth4j.weights.LoraUse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The pictures that show how far the training is: the same prompts and seeds each time. Their noise
 * has generators of its own, so drawing them changes nothing of the training.
 */
public final class SamplePictures {
  /** Where diffusers' DreamBooth script leaves validation's guidance and steps. */
  private static final double VALIDATION_GUIDANCE = 7.5;

  private static final int VALIDATION_STEPS = 25;

  /**
   * Pictures of one prompt, in the order of their seeds.
   *
   * @param sampler the one that drew them
   * @param seed that of the first; each of the others has the next one
   * @param loras what was added to the model
   */
  public record Sample(
      String name,
      TextToImage.Request request,
      SamplerKind sampler,
      long seed,
      List<LoraUse> loras,
      List<Pixels> pictures) {}

  /** Where the sample of this name lies that was drawn after so many steps. */
  public static Path file(Path output, int step, String name) {
    return output.resolve("samples").resolve(String.format(Locale.ROOT, "%06d-%s.png", step, name));
  }

  private record SampleRequest(String name, TextToImage.Request request, int count, long seed) {}

  private final StableDiffusion model;
  private final TextToImage pipeline;
  private final List<SampleRequest> wishes = new ArrayList<>();
  private final List<LoraUse> loras;

  SamplePictures(Config config, StableDiffusion model, List<Concept> concepts) {
    this.model = model;
    TextEncoding encoding = encoding(config);
    pipeline = new TextToImage(model, encoding);
    loras = loras(config);
    SamplerKind sampler = config.samples().scheduler();
    for (Concept concept : concepts) {
      ConceptSamplesConfig how = concept.config().samples();
      if (how.count() > 0) {
        long seed = seed(config, how.seed());
        String prompt =
            how.prompt().isEmpty()
                ? encoding.literally(concept.pictures().get(0).instancePrompt())
                : drawn(config, how.prompt(), seed);
        TextToImage.Request request =
            request(
                config,
                prompt,
                how.negativePrompt(),
                how.inferSteps(),
                how.guidanceScale(),
                sampler);
        wishes.add(new SampleRequest(concept.config().name(), request, how.count(), seed));
      }
    }
    String validation = config.samples().validationPrompt();
    if (validation != null && validations(config) > 0) {
      TextToImage.Request request =
          request(
              config,
              drawn(config, validation, seed(config, -1)),
              "",
              VALIDATION_STEPS,
              VALIDATION_GUIDANCE,
              sampler);
      wishes.add(new SampleRequest("validation", request, validations(config), seed(config, -1)));
    }
    for (SamplePrompt each : config.samples().prompts()) {
      wishes.add(request(config, each));
    }
  }

  /** A prompt of a file, named by its place among them. */
  private static SampleRequest request(Config config, SamplePrompt of) {
    List<SamplePrompt> all = config.samples().prompts();
    long seed = seed(config, of.seed() == null ? -1 : of.seed());
    Bucket size = size(config, of);
    TextToImage.Request request =
        new TextToImage.Request(
            drawn(config, of.prompt(), seed),
            TextToImage.unlessEmpty(of.negative()),
            size.width(),
            size.height(),
            of.steps(),
            of.guidance(),
            of.sampler() == null ? config.samples().scheduler() : of.sampler());
    int digits = Math.max(2, String.valueOf(all.size()).length());
    String number = String.format(Locale.ROOT, "%0" + digits + "d", all.indexOf(of) + 1);
    return new SampleRequest("prompt-" + number, request, 1, seed);
  }

  /** How the prompts of samples are read. */
  public static TextEncoding encoding(Config config) {
    return TextEncoding.of(config.model()).weighted(config.samples().promptWeights());
  }

  private static List<LoraUse> loras(Config config) {
    return config.samples().loras().stream()
        .map(each -> new LoraUse(each.file(), each.weight()))
        .toList();
  }

  /**
   * The most bytes that drawing all of one prompt holds beside the model; 0 if nothing is drawn.
   *
   * @param memory of the model, in a dry arena
   * @throws dreambooth4j.Problem when a LoRA of sample_loras cannot be read or is for another model
   */
  static long bytes(Config config, StableDiffusion model, PictureMemory memory) {
    long drawing =
        largest(config).entrySet().stream()
            .mapToLong(each -> memory.drawing(each.getKey(), each.getValue(), true))
            .max()
            .orElse(0);
    if (drawing == 0) {
      return 0;
    }
    try (LoraChanges added = LoraChanges.of(model.layers(), loras(config))) {
      long[] bytes = new long[1];
      model.withSavedWeights(() -> bytes[0] = model.bytesWithLoras(added, drawing));
      return bytes[0];
    }
  }

  private static String drawn(Config config, String prompt, long seed) {
    return Wildcards.drawn(prompt, config.samples().wildcards(), seed, 0);
  }

  private static TextToImage.Request request(
      Config config,
      String prompt,
      String negative,
      int steps,
      double guidance,
      @Nullable SamplerKind sampler) {
    Bucket size = size(config);
    return new TextToImage.Request(
        prompt,
        TextToImage.unlessEmpty(negative),
        size.width(),
        size.height(),
        steps,
        guidance,
        sampler);
  }

  /** The size of samples that nothing else is said of. */
  private static Bucket size(Config config) {
    int side = config.data().resolution() / 8 * 8;
    return new Bucket(side, side);
  }

  private static Bucket size(Config config, SamplePrompt of) {
    Bucket usual = size(config);
    return new Bucket(
        of.width() == null ? usual.width() : of.width(),
        of.height() == null ? usual.height() : of.height());
  }

  /** How many are drawn of one prompt, which is at once, at most. */
  static int most(Config config) {
    return Math.max(mostOfUsualSize(config), config.samples().prompts().isEmpty() ? 0 : 1);
  }

  private static int mostOfUsualSize(Config config) {
    int ofConcepts = config.concepts().stream().mapToInt(c -> c.samples().count()).max().orElse(0);
    return Math.max(ofConcepts, validations(config));
  }

  /** So many pictures of one size that are drawn at once: those that may take the most memory. */
  private static Map<Bucket, Integer> largest(Config config) {
    Map<Bucket, Integer> largest = new LinkedHashMap<>();
    config.samples().prompts().stream()
        .map(each -> size(config, each))
        .max(Comparator.comparingLong(each -> (long) each.width() * each.height()))
        .ifPresent(size -> largest.put(size, 1));
    int usual = mostOfUsualSize(config);
    if (usual > 0) {
      largest.put(size(config), usual);
    }
    return largest;
  }

  private static int validations(Config config) {
    return config.samples().validationPrompt() == null ? 0 : config.samples().numValidationImages();
  }

  private static long seed(Config config, long wanted) {
    return wanted >= 0 ? wanted : config.training().seed();
  }

  /** Pictures that are drawn each time. */
  int count() {
    return wishes.stream().mapToInt(SampleRequest::count).sum();
  }

  /** Whether all of them lie there as they were drawn after so many steps. */
  boolean areDrawn(Path output, int step) {
    return wishes.stream().allMatch(each -> Files.exists(file(output, step, each.name)));
  }

  /**
   * Draws them with the weights as they are, in F32, as {@code generate} will draw with the model
   * and the LoRAs of sample_loras.
   *
   * @throws java.util.concurrent.CancellationException when {@code stop} says so, looked at after
   *     each sampler step
   */
  List<Sample> draw(Arena run, BooleanSupplier stop) {
    List<Sample> samples = new ArrayList<>();
    try (LoraChanges added = LoraChanges.of(model.layers(), loras)) {
      model.withSavedWeights(() -> model.withLoras(added, () -> draw(run, stop, samples)));
    }
    return samples;
  }

  private void draw(Arena run, BooleanSupplier stop, List<Sample> samples) {
    for (SampleRequest wish : wishes) {
      List<Long> seeds = new ArrayList<>();
      for (int i = 0; i < wish.count; i++) {
        seeds.add(wish.seed + i);
      }
      try (TorchNoise noise = TorchNoise.ofRows(seeds)) {
        samples.add(
            new Sample(
                wish.name,
                wish.request,
                SamplerKind.of(model.scheduler(), wish.request.sampler()),
                wish.seed,
                loras,
                pipeline.generate(run, wish.request, wish.count, noise, TextToImage.until(stop))));
      }
    }
  }
}
