package dreambooth4j.pipeline;

import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.Threads;
import dreambooth4j.model.ModelConfigs;
import dreambooth4j.model.TextEncoder;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.model.UNet;
import dreambooth4j.model.Vae;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Export;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.ModelWriter;
import dreambooth4j.weights.TensorSource;
import dreambooth4j.weights.WeightLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
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

  /** Its components that have weights, in the order of its groups. */
  public static final List<Component> COMPONENTS =
      List.of(Component.UNET, Component.TEXT_ENCODER, Component.VAE);

  private final List<Group> groups;
  private final UNet unet;
  private final TextEncoder textEncoder;
  private final Vae vae;
  private final SchedulerConfig scheduler;
  private final @Nullable Tokenizer tokenizer;

  private StableDiffusion(
      Arena arena,
      ModelSource source,
      Map<Component, Double> trained,
      Gradients gradients,
      Types types) {
    Export export = new ModelWriter(source);
    List<Group> made = new ArrayList<>();
    for (Component each : COMPONENTS) {
      Parameters parameters = types.of(trained.containsKey(each) ? gradients : Gradients.NONE);
      made.add(new Group(each, parameters, trained.getOrDefault(each, 1.0), export));
    }
    groups = List.copyOf(made);
    ModelConfigs configs = ModelConfigs.read(source);
    unet = new UNet(configs.unet(), parameters(Component.UNET));
    textEncoder = new TextEncoder(configs.textEncoder(), parameters(Component.TEXT_ENCODER));
    vae = new Vae(configs.vae(), parameters(Component.VAE));
    scheduler = SchedulerConfig.of(source.config(Component.SCHEDULER));
    if (!arena.isDry()) {
      groups.forEach(group -> requireFit(source, group));
    }
    tokenizer = arena.isDry() ? null : configs.tokenizer(source);
    for (Group group : groups) {
      boolean trains = trained.containsKey(group.component());
      group.parameters().allocate(arena, trains ? gradients : Gradients.NONE);
    }
  }

  /** Found out before memory is taken. */
  private static void requireFit(ModelSource source, Group group) {
    try (TensorSource weights = source.weights(group.component())) {
      WeightLoader.requireFit(group.component(), weights, group.parameters());
    }
  }

  /**
   * Reads a model in F32 whose gradients are gathered where it trains.
   *
   * @param trained the components that train; none for a model that only draws
   * @throws dreambooth4j.Problem when a file is missing, damaged or of a kind that we do not build
   */
  public static StableDiffusion load(Arena arena, ModelSource source, Component... trained) {
    Map<Component, Double> alike =
        Stream.of(trained).collect(Collectors.toMap(each -> each, each -> 1.0));
    return load(arena, source, alike, Gradients.GATHERED, Types.trainedIn(DType.F32));
  }

  /**
   * Reads a model; in a dry arena, only the config.json files that decide its sizes.
   *
   * @param arena where the weights, and the gradients of what trains, are allocated
   * @param trained the components that train, with the {@link Group#rateFactor} of each
   * @param gradients what becomes of their gradients
   * @param types what all is held in
   * @throws dreambooth4j.Problem when a file is missing, damaged or of a kind that we do not build
   */
  public static StableDiffusion load(
      Arena arena,
      ModelSource source,
      Map<Component, Double> trained,
      Gradients gradients,
      Types types) {
    StableDiffusion model = new StableDiffusion(arena, source, trained, gradients, types);
    if (arena.isDry()) {
      return model;
    }
    Threads.fit(model.parameters(Component.UNET).count());
    for (Group group : model.groups) {
      try (TensorSource weights = source.weights(group.component())) {
        WeightLoader.load(group.component(), weights, group.parameters());
      }
    }
    return model;
  }

  /** All weights, in the order in which checkpoints number those that train. */
  public List<Group> groups() {
    return groups;
  }

  /** The groups that train. */
  public List<Group> trained() {
    return groups.stream().filter(Group::trains).toList();
  }

  /** The weights of a component that its files hold. */
  public Parameters parameters(Component component) {
    return groups.stream()
        .filter(group -> group.component() == component)
        .findFirst()
        .orElseThrow()
        .parameters();
  }

  /**
   * Takes out of training what this use of the text encoder never computes: no gradient would reach
   * it, and as with torch's optimizers what has no gradient does not decay either.
   */
  public void freezeUnused(TextEncoding how) {
    if (parameters(Component.TEXT_ENCODER).isTrainable()) {
      textEncoder.freezeSkipped(how.clipSkip());
    }
  }

  /**
   * Computes meanwhile with the weights that are saved: the masters, where there are any beside 16
   * bits, or the average. Without backward.
   */
  public void withSavedWeights(Runnable body) {
    Runnable all = body;
    for (Group group : trained()) {
      Runnable inner = all;
      all = () -> group.parameters().withSavedWeights(inner);
    }
    all.run();
  }

  /**
   * Saves what trained, each group as it is exported.
   *
   * @param arena holds one tensor at a time where its order or type must change
   * @param notes what else is to be known of the weights, by name: written into their file
   * @throws dreambooth4j.Problem when it cannot be written
   */
  public void save(Arena arena, Map<String, String> notes, Path output) {
    Map<Export, List<Group>> exports =
        trained().stream()
            .collect(Collectors.groupingBy(Group::export, LinkedHashMap::new, Collectors.toList()));
    exports.forEach((export, saved) -> export.write(arena, saved, notes, output));
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

  /** Prompts to token numbers; a model in a dry arena has none. */
  public Tokenizer tokenizer() {
    return Objects.requireNonNull(tokenizer, "a dry model reads no prompts");
  }

  /** Tokens that the text encoder reads at once, begin and end among them. */
  int promptLength() {
    return tokenizer == null ? textEncoder.config().length() : tokenizer.length();
  }

  /** The model's scheduler_config.json. */
  public SchedulerConfig scheduler() {
    return scheduler;
  }

  /**
   * The first weight that is not finite, as it is computed with or as it is saved, in words; null
   * if all are finite.
   */
  public @Nullable String firstBadWeight() {
    return groups.stream()
        .map(Group::firstBadWeight)
        .filter(Objects::nonNull)
        .findFirst()
        .orElse(null);
  }

  @Override
  public void close() {
    if (tokenizer != null) {
      tokenizer.close();
    }
  }
}
