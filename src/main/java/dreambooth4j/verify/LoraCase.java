package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.config.EmaConfig;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.AdapterKind;
import dreambooth4j.model.AdapterSize;
import dreambooth4j.model.ModelConfigs;
import dreambooth4j.pipeline.Learning;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.WeightTypes;
import dreambooth4j.train.LearningModel;
import dreambooth4j.train.LossRecipe;
import dreambooth4j.train.Recipe;
import dreambooth4j.train.StepResult;
import dreambooth4j.train.StepSettings;
import dreambooth4j.train.Training;
import dreambooth4j.train.TrainingBatch;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.EmbeddedSource;
import dreambooth4j.weights.Export;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.TokenEmbedding;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Adapters, or the vectors of a new word, on recorded draws: the model's output without and with
 * them, the gradient of each of their weights, and steps by the very step that trains.
 */
final class LoraCase {
  private static final String WEIGHT = "input.lora.";

  private final Arena arena;
  private final Golden golden;
  private final StableDiffusion model;
  private final PairLoss pair;

  private LoraCase(Arena arena, Golden golden, StableDiffusion model) {
    this.arena = arena;
    this.golden = golden;
    this.model = model;
    pair = PairLoss.of(arena, golden, model);
  }

  static void run(Arena arena, ModelSource base, Golden golden) {
    ModelSource folder = withWord(base, golden);
    PairLoss.check(golden);
    Map<Component, Learning> learning = new EnumMap<>(Component.class);
    for (Component each : folder.pipeline().components()) {
      if (!golden.names(WEIGHT + each.folder() + ".").isEmpty()) {
        learning.put(
            each,
            folder == base
                ? Learning.of(1, adaptation(golden, each))
                : Learning.PASSING.with(new Learning.Words(1, Export.NONE)));
      }
    }
    WeightTypes types = WeightTypes.trainedIn(DType.F32);
    try (StableDiffusion model =
        StableDiffusion.load(arena, folder, learning, Gradients.GATHERED, types)) {
      model.freezeUnused(TextEncoding.USUAL);
      new LoraCase(arena, golden, model).run();
    }
  }

  /** The model with the word that was trained, if one was; its numbers are read later. */
  private static ModelSource withWord(ModelSource base, Golden golden) {
    String word = golden.settings().path("word").asText();
    if (word.isEmpty()) {
      return base;
    }
    Map<Component, Integer> widths = new EnumMap<>(Component.class);
    ModelConfigs.read(base).textEncoders().forEach((each, text) -> widths.put(each, text.width()));
    int vectors = golden.setting("vectors").asInt();
    return new EmbeddedSource(base, List.of(TokenEmbedding.zeros(word, vectors, widths)));
  }

  /** The recorded adapters of a component. */
  private static Learning.Adaptation adaptation(Golden golden, Component component) {
    JsonNode settings = golden.setting(component == Component.UNET ? "unet" : "text_encoder");
    return new Learning.Adaptation(
        golden.setting("use_dora").asBoolean() ? AdapterKind.DORA : AdapterKind.LORA,
        (module, spatial) -> {
          String name = WEIGHT + recorded(component, module) + ".lora_A.weight";
          return golden.has(name)
              ? new AdapterSize((int) golden.shape(name)[0], settings.path("alpha").asDouble())
              : null;
        },
        0,
        Export.NONE);
  }

  private void run() {
    for (Group group : model.trained()) {
      for (Parameter each : group.parameters().all()) {
        Tensor recorded = golden.input(arena, WEIGHT + name(group, each));
        each.read(recorded);
        recorded.release();
      }
    }
    if (golden.has("output.base.sample")) {
      model.withoutAdapters(() -> pair.output(batch(arena, 0), "output.base.sample"));
    }
    tokens();
    pair.backward(batch(arena, 0));
    compareGradients();
    train();
  }

  /** The recorded texts become the recorded tokens, where these are to be compared. */
  private void tokens() {
    List<String> texts = new ArrayList<>();
    golden.settings().path("texts").forEach(each -> texts.add(each.asText()));
    for (Map.Entry<String, String> each : PairLoss.TOLD.entrySet()) {
      String name = each.getValue().replace("input.", "output.");
      if (golden.has(name) && each.getValue().startsWith("input.ids")) {
        long[] ours = pair.prompts().tokens(arena, texts).get(each.getKey()).toLongs();
        long[] theirs = golden.longs(arena, name);
        long same =
            IntStream.range(0, ours.length)
                .filter(i -> i < theirs.length && ours[i] == theirs[i])
                .count();
        golden.counted(name, "tokens", (int) (Math.max(ours.length, theirs.length) - same));
      }
    }
  }

  private static String name(Group group, Parameter parameter) {
    return recorded(group.component(), parameter.name());
  }

  /** transformers' second text encoder alone has a name in front. */
  private static String recorded(Component component, String name) {
    String front = component == Component.TEXT_ENCODER_2 ? "text_model." : "";
    return component.folder() + "." + front + name;
  }

  private void compareGradients() {
    for (Group group : model.trained()) {
      for (Parameter each : group.parameters().all()) {
        String name = "grad." + name(group, each);
        if (golden.has(name)) {
          float[] ours = each.toFileOrder(arena, each.gradient()).toFloats();
          golden.gradient(arena, name, ours, Limits.GRADIENT);
        }
      }
    }
  }

  private void train() {
    float[] losses = new float[golden.setting("steps").asInt()];
    float[] norms = new float[losses.length];
    Recipe recipe =
        new Recipe(
            TrainCase.optimizer(golden),
            new MemoryConfig(Checkpointing.FALSE, false, false),
            EmaConfig.NONE,
            LossRecipe.PLAIN,
            0);
    LearningModel learning =
        new LearningModel(
            model.unet(),
            pair.prompts()::encode,
            pair.schedule(),
            model.trained().stream().map(Group::learning).toList());
    try (Training training = Training.assemble(arena, learning, recipe)) {
      double rate = recipe.optimizer().learningRate();
      double prior = golden.setting("prior_loss_weight").asDouble();
      for (int i = 0; i < losses.length; i++) {
        int step = i;
        StepResult result =
            training.step(new StepSettings(i, rate, prior, 1, 0), List.of(in -> batch(in, step)));
        losses[i] = (float) result.losses().total();
        norms[i] = (float) result.gradientNorm();
      }
    }
    golden.output(arena, "output.loss", losses, Limits.OUTPUT);
    golden.output(arena, "output.grad_norm", norms, Limits.OUTPUT);
    for (Group group : model.trained()) {
      for (Parameter each : group.parameters().all()) {
        String name = name(group, each);
        if (golden.has("final." + name)) {
          double moved = golden.setting("moved").path(name).asDouble();
          float[] ours = each.toFileOrder(arena, each.weight()).toFloats();
          golden.trained(arena, "final." + name, ours, moved, Limits.TRAINED);
        }
      }
    }
  }

  private TrainingBatch batch(Arena in, int step) {
    return pair.batch(in, "input." + step + ".");
  }
}
