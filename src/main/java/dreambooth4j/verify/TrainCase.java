package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.diffusion.Prediction;
import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.train.TrainingStep;
import dreambooth4j.weights.Component;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Whole DreamBooth steps on recorded draws, by the very step that trains; the model ends as it
 * began.
 */
final class TrainCase {
  private static final Pattern OPTIMIZER =
      Pattern.compile("AdamW lr (\\S+) betas (\\S+) (\\S+) eps (\\S+) weight_decay (\\S+)");
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
    Matcher optimizer = matched(golden, OPTIMIZER, "optimizer");
    int instanceRows = Integer.parseInt(matched(golden, BATCH, "batch").group(1)) + 1;
    double learningRate = number(optimizer, 1);
    AdamW adam =
        new AdamW(
            arena,
            new AdamW.Settings(
                number(optimizer, 2),
                number(optimizer, 3),
                number(optimizer, 4),
                number(optimizer, 5)),
            List.of(model.parameters(Component.UNET)));
    adam.zeroGradients();
    double priorLossWeight = golden.setting("prior_loss_weight").asDouble();
    double offset = golden.setting("offset_noise").asDouble();
    int batches = golden.setting("gradient_accumulation").asInt();
    float[] losses = new float[golden.setting("steps").asInt()];
    float[] norms = new float[losses.length];
    TrainingStep step = new TrainingStep(model.unet(), objective(model, golden), offset);
    for (int k = 0; k < losses.length; k++) {
      double sum = 0;
      for (int a = 0; a < batches; a++) {
        try (Arena batch = arena.child("batch")) {
          sum +=
              step.gather(
                      batch,
                      rows(batch, golden, k * batches + a, instanceRows),
                      draws(batch, golden, k * batches + a, offset != 0),
                      priorLossWeight,
                      1.0 / batches)
                  .total();
        }
      }
      losses[k] = (float) (sum / batches);
      double maxGradNorm = golden.setting("max_grad_norm").asDouble();
      norms[k] = (float) adam.update(learningRate, maxGradNorm, 1);
    }
    golden.output(arena, "output.loss", losses, Limits.OUTPUT);
    golden.output(arena, "output.grad_norm", norms, Limits.OUTPUT);
  }

  private static Objective objective(StableDiffusion model, Golden golden) {
    NoiseSchedule schedule = NoiseSchedule.of(model.scheduler());
    String prediction = golden.setting("prediction_type").asText();
    String ours = schedule.prediction() == Prediction.VELOCITY ? "v_prediction" : "epsilon";
    if (!prediction.equals(ours)) {
      throw golden.notUnderstood(
          "it was recorded with %s, the model predicts %s".formatted(prediction, ours));
    }
    JsonNode gamma = golden.setting("snr_gamma");
    return gamma.isNull()
        ? Objective.plain(schedule)
        : Objective.minSnr(schedule, gamma.asDouble());
  }

  private static TrainingStep.Rows rows(Arena arena, Golden golden, int i, int instanceRows) {
    Tensor prompts = golden.input(arena, "input." + i + ".encoder_hidden_states");
    return new TrainingStep.Rows(
        ChannelsLast.of(arena, golden.input(arena, "input." + i + ".x0")),
        tape -> tape.constant(prompts),
        instanceRows);
  }

  private static TrainingStep.Draws draws(Arena arena, Golden golden, int i, boolean offset) {
    return new TrainingStep.Draws(
        ChannelsLast.of(arena, golden.input(arena, "input." + i + ".noise")),
        golden.input(arena, "input." + i + ".timestep").toLongs(),
        offset ? golden.input(arena, "input." + i + ".offset_noise") : null);
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
