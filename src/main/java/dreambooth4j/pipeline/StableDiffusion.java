package dreambooth4j.pipeline;

import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Threads;
import dreambooth4j.model.TextEncoder;
import dreambooth4j.model.TextEncoderConfig;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.model.UNet;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.model.Vae;
import dreambooth4j.model.VaeConfig;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.TensorSource;
import dreambooth4j.weights.WeightLoader;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A Stable Diffusion model in memory. Its weights are the arena's; close it for its tokenizer. What
 * goes into its parts and comes out of them is F32 whatever they are held in.
 */
public final class StableDiffusion implements AutoCloseable {
  /**
   * What it is held and computed in.
   *
   * @param trained type of what trains
   * @param masters whether F32 masters lie beside what trains in 16 bits
   * @param frozen type of what does not train
   */
  public record Types(DType trained, boolean masters, DType frozen) {
    /** What trains in this type, beside masters if it has 16 bits; the rest in F32. */
    public static Types trainedIn(DType type) {
      return new Types(type, true, DType.F32);
    }

    /** Weights that will be allocated with these gradients. */
    public Parameters of(Gradients gradients) {
      return gradients == Gradients.NONE
          ? new Parameters(frozen)
          : new Parameters(trained, masters);
    }
  }

  private final Parameters unetParameters;
  private final Parameters textParameters;
  private final Parameters vaeParameters;
  private final UNet unet;
  private final TextEncoder textEncoder;
  private final Vae vae;
  private final SchedulerConfig scheduler;
  private final Tokenizer tokenizer;

  private StableDiffusion(
      ModelFolder folder, Gradients trainUnet, Gradients trainText, Types types) {
    unetParameters = types.of(trainUnet);
    textParameters = types.of(trainText);
    vaeParameters = types.of(Gradients.NONE);
    unet = unet(folder, unetParameters);
    textEncoder = textEncoder(folder, textParameters);
    vae = vae(folder, vaeParameters);
    scheduler = SchedulerConfig.of(folder.config(Component.SCHEDULER));
    tokenizer = Tokenizer.open(folder.folder(Component.TOKENIZER));
  }

  /** The UNet that a folder's config.json describes; declares its weights. */
  public static UNet unet(ModelFolder folder, Parameters parameters) {
    return new UNet(
        UNetConfig.of(folder.config(Component.UNET), where(folder, Component.UNET)), parameters);
  }

  /** The text encoder that a folder's config.json describes; declares its weights. */
  public static TextEncoder textEncoder(ModelFolder folder, Parameters parameters) {
    return new TextEncoder(
        TextEncoderConfig.of(
            folder.config(Component.TEXT_ENCODER), where(folder, Component.TEXT_ENCODER)),
        parameters);
  }

  /** The VAE that a folder's config.json describes; declares its weights. */
  public static Vae vae(ModelFolder folder, Parameters parameters) {
    return new Vae(
        VaeConfig.of(folder.config(Component.VAE), where(folder, Component.VAE)), parameters);
  }

  private static String where(ModelFolder folder, Component component) {
    Path path = folder.folder(component).resolve(component.configFile());
    return path.toString();
  }

  /**
   * Reads a model.
   *
   * @param arena where the weights, and the gradients of what trains, are allocated
   * @throws dreambooth4j.Problem when a file is missing, damaged or of a kind that we do not build
   */
  public static StableDiffusion load(
      Arena arena, ModelFolder folder, boolean trainUnet, boolean trainTextEncoder) {
    return load(
        arena,
        folder,
        trainUnet ? Gradients.GATHERED : Gradients.NONE,
        trainTextEncoder ? Gradients.GATHERED : Gradients.NONE,
        Types.trainedIn(DType.F32));
  }

  /**
   * As {@link #load(Arena, ModelFolder, boolean, boolean)}; says what becomes of gradients, and
   * what all is held in.
   */
  public static StableDiffusion load(
      Arena arena, ModelFolder folder, Gradients trainUnet, Gradients trainText, Types types) {
    StableDiffusion model = new StableDiffusion(folder, trainUnet, trainText, types);
    Threads.fit(model.unetParameters.count());
    model.unetParameters.allocate(arena, trainUnet);
    model.textParameters.allocate(arena, trainText);
    model.vaeParameters.allocate(arena, false);
    read(folder, Component.UNET, model.unetParameters);
    read(folder, Component.TEXT_ENCODER, model.textParameters);
    read(folder, Component.VAE, model.vaeParameters);
    return model;
  }

  private static void read(ModelFolder folder, Component component, Parameters parameters) {
    try (TensorSource source = folder.weights(component)) {
      WeightLoader.load(component, source, parameters);
    }
  }

  /**
   * Computes with what is saved meanwhile: the masters, where there are any beside 16 bits, or the
   * average; no way back.
   */
  public void withSavedWeights(Runnable body) {
    unetParameters.withSavedWeights(() -> textParameters.withSavedWeights(body));
  }

  /** Predicts noise or velocity. */
  public UNet unet() {
    return unet;
  }

  /** Token numbers to hidden states. */
  public TextEncoder textEncoder() {
    return textEncoder;
  }

  /** Pictures to latents and back. */
  public Vae vae() {
    return vae;
  }

  /** Prompts to token numbers. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** The model's scheduler_config.json. */
  public SchedulerConfig scheduler() {
    return scheduler;
  }

  /** Weights of the UNet. */
  public Parameters unetParameters() {
    return unetParameters;
  }

  /** Weights of the text encoder. */
  public Parameters textParameters() {
    return textParameters;
  }

  /** Weights of the VAE. */
  public Parameters vaeParameters() {
    return vaeParameters;
  }

  /**
   * The first weight that is not finite, in the order of computation, as it is computed with or as
   * it is saved; null if all are.
   */
  public @Nullable String firstBadWeight() {
    Map<Component, Parameters> components = new LinkedHashMap<>();
    components.put(Component.TEXT_ENCODER, textParameters);
    components.put(Component.UNET, unetParameters);
    components.put(Component.VAE, vaeParameters);
    for (Map.Entry<Component, Parameters> component : components.entrySet()) {
      for (Parameter each : component.getValue().all()) {
        if (!Stream.of(each.weight(), each.saved()).distinct().allMatch(Tensor::isFinite)) {
          return "the weight %s of the %s".formatted(each, component.getKey().folder());
        }
      }
    }
    return null;
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
