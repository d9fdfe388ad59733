package dreambooth4j.pipeline;

import dreambooth4j.Sha256;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.Threads;
import dreambooth4j.engine.op.NoiseDraws;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.Adapters;
import dreambooth4j.model.ModelConfigs;
import dreambooth4j.model.TextEncoder;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.model.UNet;
import dreambooth4j.model.Vae;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Export;
import dreambooth4j.weights.FolderPlan;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.LoraChanges;
import dreambooth4j.weights.ModelLayers;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.ModelWriter;
import dreambooth4j.weights.NewFiles;
import dreambooth4j.weights.Pipeline;
import dreambooth4j.weights.SavedModel;
import dreambooth4j.weights.TensorSource;
import dreambooth4j.weights.WeightLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A Stable Diffusion model in memory. Its weights are the arena's; close it for its tokenizers.
 * What goes into its parts and comes out of them is F32 whatever they are held in.
 */
public final class StableDiffusion implements AutoCloseable {
  /**
   * A text encoder, and its tokenizer.
   *
   * @param tokenizer null in a dry arena, where no prompts are read
   */
  public record Reader(Component component, TextEncoder encoder, @Nullable Tokenizer tokenizer) {
    /** Tokens that it reads at once, begin and end among them. */
    int length() {
      return tokenizer == null ? encoder.config().length() : tokenizer.length();
    }
  }

  private final List<Group> groups = new ArrayList<>();

  /** Those of the groups that the model's files hold. */
  private final List<Group> own;

  private final Map<Component, Adapters> adapters = new EnumMap<>(Component.class);

  /** Those of the words that the source adds. */
  private final WordVectors words;

  private final UNet unet;
  private final Arena arena;
  private final ModelSource source;
  private boolean unloads;
  private boolean tiles;
  private final List<Reader> readers = new ArrayList<>();
  private final Vae vae;
  private final SchedulerConfig scheduler;
  private final boolean zeroNegative;

  private StableDiffusion(
      Arena arena,
      ModelSource source,
      Map<Component, Learning> learning,
      Gradients gradients,
      WeightTypes types) {
    this.arena = arena;
    this.source = source;
    ModelConfigs configs = ModelConfigs.read(source);
    Export folder = new ModelWriter(source);
    for (Component each : source.pipeline().components()) {
      Learning how = learning.get(each);
      boolean wide = each == Component.VAE && isWide(source, configs);
      double rateFactor = how == null ? 1 : how.rateFactor();
      Parameters parameters = (wide ? types.withFrozenF32() : types).own(how);
      Export export = how == null ? null : how.export();
      groups.add(new Group(each, parameters, rateFactor, export == null ? folder : export));
    }
    own = List.copyOf(groups);
    learning.forEach((component, how) -> addAdapters(component, how, types.of(gradients)));
    words = new WordVectors(source.embeddings());
    configs
        .textEncoders()
        .forEach(
            (each, text) -> {
              Learning how = learning.get(each);
              words.declare(each, text, how == null ? null : how.words(), types);
            });
    groups.addAll(words.groups());
    unet = new UNet(configs.unet(), parameters(Component.UNET), adapters(Component.UNET));
    vae = new Vae(configs.vae(), parameters(Component.VAE));
    scheduler = SchedulerConfig.of(source.config(Component.SCHEDULER));
    zeroNegative = source.hasZeroNegative();
    configs
        .textEncoders()
        .forEach(
            (component, config) ->
                readers.add(
                    new Reader(
                        component,
                        new TextEncoder(
                            config,
                            parameters(component),
                            adapters(component),
                            words.table(component)),
                        null)));
    if (!arena.isDry()) {
      own.forEach(group -> requireFit(source, group));
      readers.replaceAll(
          each ->
              new Reader(each.component, each.encoder, configs.tokenizer(source, each.component)));
    }
    for (Group group : groups) {
      boolean trains = trains(group, learning.get(group.component()));
      group.parameters().allocate(arena, trains ? gradients : Gradients.NONE);
    }
  }

  private boolean trains(Group group, @Nullable Learning how) {
    if (how == null) {
      return false;
    }
    if (words.groups().contains(group)) {
      return how.words() != null;
    }
    return how.whole() || !own.contains(group);
  }

  private void addAdapters(Component component, Learning how, Parameters parameters) {
    if (how.adapters() != null) {
      Learning.Adaptation made = how.adapters();
      Adapters around = new Adapters(parameters, made.kind(), made.sizes());
      around.drop(made.dropout());
      adapters.put(component, around);
      groups.add(new Group(component, parameters, how.rateFactor(), how.adapters().export()));
    }
  }

  /** SDXL's first VAE overflows in 16 bits. Others say so too, for that is diffusers' default. */
  private static boolean isWide(ModelSource source, ModelConfigs configs) {
    return source.pipeline() == Pipeline.STABLE_DIFFUSION_XL && configs.vae().forceUpcast();
  }

  /** Found out before memory is taken. */
  private static void requireFit(ModelSource source, Group group) {
    try (TensorSource weights = source.weights(group.component())) {
      WeightLoader.requireFit(group.component(), weights, group.parameters());
    }
  }

  private Adapters adapters(Component component) {
    return adapters.getOrDefault(component, Adapters.NONE);
  }

  /**
   * Compares the headers of a model's files with what its configurations describe; reads no
   * weights.
   *
   * @throws dreambooth4j.Problem when tensors are missing, left over, or of another shape
   */
  public static void requireFit(ModelSource source) {
    source.pipeline().components().forEach(each -> source.weights(each).close());
    try (Arena dry = Arena.open("check", OpBackend.dry(Device.CPU));
        StableDiffusion model = load(dry, source)) {
      model.own.forEach(group -> requireFit(source, group));
    }
  }

  /** The layers of a model that adapters lie around, by its configurations alone. */
  public static ModelLayers layers(ModelSource source) {
    try (Arena dry = Arena.open("layers", OpBackend.dry(Device.CPU));
        StableDiffusion model = load(dry, source)) {
      return model.layers();
    }
  }

  /**
   * Reads a model in F32 whose gradients are gathered where it trains.
   *
   * @param trained the components that train; none for a model that only draws
   * @throws dreambooth4j.Problem when a file is missing, damaged or of a kind that we do not build
   */
  public static StableDiffusion load(Arena arena, ModelSource source, Component... trained) {
    Map<Component, Learning> alike = new EnumMap<>(Component.class);
    Stream.of(trained).forEach(each -> alike.put(each, Learning.whole(1)));
    return load(arena, source, alike, Gradients.GATHERED, WeightTypes.trainedIn(DType.F32));
  }

  /** Reads a model that draws class images and does not train: of {@code frozen_dtype}. */
  public static StableDiffusion loadToDraw(Arena arena, ModelSource source, ComputeConfig compute) {
    DType type = Devices.typeOf(compute.frozen());
    return load(arena, source, Map.of(), Gradients.NONE, new WeightTypes(type, false, type));
  }

  /**
   * Reads a model; in a dry arena, only the config.json files that decide its sizes.
   *
   * @param arena where the weights, and the gradients of what trains, are allocated
   * @param learning how the components that train do so; adapters are all zero until {@link
   *     #beginAdapters}
   * @param gradients what becomes of their gradients
   * @param types what all is held in
   * @throws dreambooth4j.Problem when a file is missing, damaged or of a kind that we do not build
   */
  public static StableDiffusion load(
      Arena arena,
      ModelSource source,
      Map<Component, Learning> learning,
      Gradients gradients,
      WeightTypes types) {
    StableDiffusion model = new StableDiffusion(arena, source, learning, gradients, types);
    if (arena.isDry()) {
      return model;
    }
    Threads.fit(model.parameters(Component.UNET).count());
    model.own.forEach(model::fill);
    model.words.fill(arena);
    return model;
  }

  private void fill(Group group) {
    try (TensorSource weights = source.weights(group.component())) {
      WeightLoader.load(group.component(), weights, group.parameters());
    }
  }

  /**
   * From here on, what steps do not compute with is in memory only while it is needed: the VAE, and
   * text encoders that do not train.
   */
  public void unloadFrozen() {
    unloads = true;
    rest();
  }

  /** From here on, large pictures are decoded in tiles, for which less memory is enough. */
  public void decodeInTiles() {
    tiles = true;
  }

  /** Whether it does so. */
  public boolean decodesInTiles() {
    return tiles;
  }

  /** Whether it does so. */
  public boolean unloads() {
    return unloads;
  }

  /** Frees what is unloaded and was needed meanwhile; where it is needed next it is read again. */
  public void rest() {
    Set<Component> learning = trained().stream().map(Group::component).collect(Collectors.toSet());
    learning.add(Component.UNET);
    for (Group group : own) {
      boolean idle = unloads && !learning.contains(group.component());
      if (idle && !group.parameters().rests()) {
        group.parameters().rest(() -> readAgain(group));
      }
    }
  }

  private void readAgain(Group group) {
    group.parameters().allocate(arena, Gradients.NONE);
    if (!arena.isDry()) {
      fill(group);
    }
  }

  /** All weights, in the order in which checkpoints number those that train. */
  public List<Group> groups() {
    return List.copyOf(groups);
  }

  /** The groups that train. */
  public List<Group> trained() {
    return groups.stream().filter(Group::trains).toList();
  }

  /** The groups of a component that train, but for vectors of words. */
  public List<Group> trained(Component component) {
    return trained().stream()
        .filter(group -> group.component() == component && !words.groups().contains(group))
        .toList();
  }

  /**
   * Gives all adapters the numbers that training begins with: they change nothing yet.
   *
   * @param arena holds one tensor at a time
   * @param seed of the draws
   */
  public void beginAdapters(Arena arena, long seed) {
    adapters.values().forEach(each -> each.begin(arena, seed));
  }

  /** Computes as the base model does meanwhile, without its adapters. */
  public void withoutAdapters(Runnable body) {
    Runnable all = body;
    for (Adapters each : adapters.values()) {
      Runnable inner = all;
      all = () -> each.off(inner);
    }
    all.run();
  }

  /** What adapters drop in training is drawn by these from now on. */
  public void drawDropout(NoiseDraws draws) {
    adapters.values().forEach(each -> each.draw(draws));
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
   * Takes out of training what this use of the text encoders never computes: no gradient would
   * reach it, and as with torch's optimizers what has no gradient does not decay either.
   */
  public void freezeUnused(TextEncoding how) {
    for (Reader each : readers) {
      trained(each.component)
          .forEach(group -> each.encoder.freezeUnused(how.clipSkip(), group.parameters()));
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

  /** The layers that LoRAs change. */
  public ModelLayers layers() {
    return ModelLayers.of(own);
  }

  /** Computes meanwhile with LoRAs in its weights, which stay as they are. Without backward. */
  public void withLoras(LoraChanges loras, Runnable body) {
    loras.during(arena, own, body);
  }

  /** The most bytes that {@link #withLoras} holds, with a body that holds so many itself. */
  public long bytesWithLoras(LoraChanges loras, long ofBody) {
    return loras.bytes(own, ofBody);
  }

  /** Names the weights that were read for the UNet and all else that trains: a SHA-256. */
  public String fingerprintOfTrained() {
    return Sha256.of(
        Stream.concat(Stream.of(Component.UNET), trained().stream().map(Group::component))
            .map(source::fingerprint)
            .distinct()
            .collect(Collectors.joining(" ")));
  }

  /** The words that it reads beside its tokenizer's, and the vectors of each; empty for none. */
  public String addedWords() {
    return source.embeddings().stream()
        .map(each -> "%s (%d)".formatted(each.token().toLowerCase(Locale.ROOT), each.vectors()))
        .collect(Collectors.joining(", "));
  }

  /**
   * Saves what trained, each group as it is exported, in the place of what a run saved there
   * before.
   *
   * @param arena holds one tensor at a time where its order or type must change
   * @param notes what else is to be known of the weights, by name: written into their file
   * @throws dreambooth4j.Problem when it cannot be written
   */
  public void save(Arena arena, Map<String, String> notes, Path output) {
    SavedModel.replace(output, files -> hand(files, arena, notes, output));
  }

  /**
   * The files that {@link #save} would put there now, and about how many bytes of each it writes.
   *
   * @throws dreambooth4j.Problem when the base model can no longer be read
   */
  public Map<Path, Long> files(Arena arena, Path output) {
    FolderPlan plan = new FolderPlan();
    hand(plan, arena, Map.of(), output);
    return plan.bytes();
  }

  private void hand(NewFiles files, Arena arena, Map<String, String> notes, Path output) {
    exports().forEach((export, saved) -> export.hand(files, arena, saved, notes, output));
  }

  /** What there is to be used once {@link #save} is done: the folder, or a file in it. */
  public Path result(Path output) {
    return exports().keySet().iterator().next().result(output);
  }

  private Map<Export, List<Group>> exports() {
    return trained().stream()
        .collect(Collectors.groupingBy(Group::export, LinkedHashMap::new, Collectors.toList()));
  }

  /** Predicts noise or velocity. */
  public UNet unet() {
    return unet;
  }

  /** What reads prompts, in the order in which the UNet is given what they say. */
  public List<Reader> readers() {
    return List.copyOf(readers);
  }

  /** Pictures to latents and back. */
  public Vae vae() {
    return vae;
  }

  /**
   * Prompts to token numbers, as the first text encoder is given them; a second one's differ in the
   * padding alone. A model in a dry arena has none.
   */
  public Tokenizer tokenizer() {
    return Objects.requireNonNull(readers.get(0).tokenizer, "a dry model reads no prompts");
  }

  /** Whether no negative prompt is zeros rather than an empty prompt. */
  boolean hasZeroNegative() {
    return zeroNegative;
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
    readers.stream().map(Reader::tokenizer).filter(Objects::nonNull).forEach(Tokenizer::close);
  }
}
