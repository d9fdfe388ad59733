package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.config.EmaConfig;
import dreambooth4j.config.LrConfig;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.config.OptimizerConfig;
import dreambooth4j.config.OptimizerName;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.diffusion.Prediction;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.engine.op.NoiseRecipe;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.train.LearningModel;
import dreambooth4j.train.LossRecipe;
import dreambooth4j.train.Recipe;
import dreambooth4j.train.StepResult;
import dreambooth4j.train.StepSettings;
import dreambooth4j.train.Training;
import dreambooth4j.train.TrainingBatch;
import dreambooth4j.weights.Component;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Whole DreamBooth steps on recorded draws, by the very step that trains; the model ends as it
 * began.
 */
final class TrainCase {
  private static final Pattern OPTIMIZER =
      Pattern.compile("(\\S+) lr (\\S+) betas (\\S+) (\\S+) eps (\\S+) weight_decay (\\S+)");
  private static final Pattern BATCH =
      Pattern.compile("rows 0-(\\d+) instance, rows (\\d+)-(\\d+) prior");

  private TrainCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    Parameters parameters = model.parameters(Component.UNET);
    Tensor start = arena.allocate("start", DType.F32, parameters.flatCount());
    start.copyFrom(parameters.weights());
    try {
      train(arena, model, golden);
      for (Parameter each : parameters.all()) {
        String name = "final." + each.name();
        if (golden.has(name)) {
          double moved = golden.setting("moved").path(each.name()).asDouble();
          float[] ours = each.toFileOrder(arena, each.weight()).toFloats();
          golden.trained(arena, name, ours, moved, Limits.TRAINED);
        }
      }
    } finally {
      parameters.weights().copyFrom(start);
    }
  }

  private static void train(Arena arena, StableDiffusion model, Golden golden) {
    int instanceRows = Integer.parseInt(matched(golden, BATCH, "batch").group(1)) + 1;
    double priorLossWeight = golden.setting("prior_loss_weight").asDouble();
    int batches = golden.setting("gradient_accumulation").asInt();
    float[] losses = new float[golden.setting("steps").asInt()];
    float[] norms = new float[losses.length];
    Recipe recipe = recipe(golden);
    LearningModel learning =
        new LearningModel(
            model.unet(),
            null,
            schedule(model, golden),
            Optimizer.Group.alike(List.of(model.parameters(Component.UNET))));
    try (Training training = Training.assemble(arena, learning, recipe)) {
      for (int k = 0; k < losses.length; k++) {
        List<Function<Arena, TrainingBatch>> each = new ArrayList<>();
        for (int a = 0; a < batches; a++) {
          int i = k * batches + a;
          each.add(
              in ->
                  batch(
                      in, golden, i, instanceRows, recipe.loss().noise().offset().strength() != 0));
        }
        double rate = recipe.optimizer().learningRate();
        StepResult result = training.step(new StepSettings(k, rate, priorLossWeight, 1, 0), each);
        losses[k] = (float) result.losses().total();
        norms[k] = (float) result.gradientNorm();
      }
    }
    golden.output(arena, "output.loss", losses, Limits.OUTPUT);
    golden.output(arena, "output.grad_norm", norms, Limits.OUTPUT);
  }

  /** The recorded optimizer. */
  static OptimizerConfig optimizer(Golden golden) {
    Matcher optimizer = matched(golden, OPTIMIZER, "optimizer");
    OptimizerName name = OptimizerName.labelled(optimizer.group(1));
    if (name == null) {
      throw golden.notUnderstood("optimizer " + optimizer.group(1));
    }
    return new OptimizerConfig(
        name,
        number(optimizer, 2),
        null,
        null,
        false,
        LrConfig.CONSTANT,
        number(optimizer, 3),
        number(optimizer, 4),
        number(optimizer, 6),
        number(optimizer, 5),
        golden.setting("max_grad_norm").asDouble(),
        Map.of());
  }

  private static Recipe recipe(Golden golden) {
    JsonNode gamma = golden.setting("snr_gamma");
    return new Recipe(
        optimizer(golden),
        new MemoryConfig(Checkpointing.FALSE, false, false),
        EmaConfig.NONE,
        new LossRecipe(
            schedule ->
                gamma.isNull()
                    ? Objective.plain(schedule)
                    : Objective.plain(schedule).minSnr(gamma.asDouble()),
            true,
            new NoiseRecipe(
                new NoiseRecipe.Offset(golden.setting("offset_noise").asDouble(), false, 0, false),
                NoiseRecipe.PLAIN.multires(),
                NoiseRecipe.PLAIN.perturbation()),
            null,
            LossRecipe.PLAIN.timesteps()),
        0);
  }

  private static NoiseSchedule schedule(StableDiffusion model, Golden golden) {
    NoiseSchedule schedule = NoiseSchedule.of(model.scheduler());
    String prediction = golden.setting("prediction_type").asText();
    String ours = schedule.prediction() == Prediction.VELOCITY ? "v_prediction" : "epsilon";
    if (!prediction.equals(ours)) {
      throw golden.notUnderstood(
          "it was recorded with %s, the model predicts %s".formatted(prediction, ours));
    }
    return schedule;
  }

  private static TrainingBatch batch(
      Arena arena, Golden golden, int i, int instanceRows, boolean offset) {
    String input = "input." + i + ".";
    return TrainingBatch.of(
        ChannelsLast.of(arena, golden.input(arena, input + "x0")),
        Told.of(arena, golden, input),
        instanceRows,
        new TrainingBatch.Given(
            ChannelsLast.of(arena, golden.input(arena, input + "noise")),
            golden.input(arena, input + "timestep").toLongs(),
            offset ? golden.input(arena, input + "offset_noise") : null));
  }

  private static Matcher matched(Golden golden, Pattern pattern, String key) {
    Matcher matcher = pattern.matcher(golden.setting(key).asText());
    if (!matcher.matches()) {
      throw golden.notUnderstood(key + " " + golden.setting(key));
    }
    return matcher;
  }

  private static double number(Matcher matcher, int group) {
    return Double.parseDouble(matcher.group(group));
  }
}
