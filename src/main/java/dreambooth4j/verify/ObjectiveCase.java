package dreambooth4j.verify;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.LossConfig;
import dreambooth4j.data.LossMask;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.diffusion.Prediction;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.LossKernels;
import dreambooth4j.engine.kernel.NoiseKernels;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.engine.op.NoiseDraws;
import dreambooth4j.engine.op.NoiseTarget;
import dreambooth4j.engine.op.RowLoss;
import dreambooth4j.train.LossRecipe;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One option of the objective on recorded draws and a recorded prediction, by the configuration
 * that a user would write: noisy latents, target, weights, losses and the gradient.
 */
final class ObjectiveCase {
  /** The keys that make each case; {x} stands for the case's setting x. */
  private static final Map<String, String> KEYS = new HashMap<>();

  private static final Pattern SETTING = Pattern.compile("\\{(\\w+)}");

  static {
    KEYS.put("epsilon", "");
    KEYS.put("v_prediction", "");
    for (String kind : new String[] {"_epsilon", "_v"}) {
      KEYS.put("min_snr" + kind, "snr_gamma={gamma}");
      KEYS.put("debiased" + kind, "debiased_estimation_loss=true");
      KEYS.put("p2" + kind, "p2_gamma={gamma}");
    }
    KEYS.put("debiased_v_onetrainer", "debiased_estimation_loss=onetrainer");
    KEYS.put("scale_v_like_noise", "scale_v_pred_loss_like_noise_pred=true");
    KEYS.put("v_pred_like_loss", "v_pred_like_loss={strength}");
    KEYS.put("zero_terminal_min_snr_v", "snr_gamma={gamma}");
    for (String schedule : new String[] {"_constant", "_exponential", "_snr"}) {
      for (String type : new String[] {"huber", "smooth_l1"}) {
        KEYS.put(
            type + schedule,
            "loss_type="
                + type
                + " huber_schedule={huber_schedule} huber_c={huber_c} huber_scale={huber_scale}");
      }
    }
    KEYS.put("huber_onetrainer", "loss_type=classic_huber huber_delta={delta}");
    KEYS.put("l1", "loss_type=l1");
    KEYS.put("log_cosh", "loss_type=log_cosh");
    KEYS.put("masked_kohya", "masked_loss=true");
    KEYS.put("masked_onetrainer", "masked_loss=true unmasked_weight={unmasked_weight}");
    KEYS.put(
        "masked_onetrainer_normalized",
        "masked_loss=true unmasked_weight={unmasked_weight} normalize_masked_area_loss=true");
    KEYS.put(
        "masked_onetrainer_prior",
        "masked_loss=true unmasked_weight={unmasked_weight} use_lora=true masked_prior_preservation_weight={strength}");
    KEYS.put("masked_halves", "masked_loss=true snr_gamma={gamma}");
    KEYS.put(
        "kohya_order",
        "loss_type=smooth_l1 huber_schedule=constant huber_c=0.1 masked_loss=true snr_gamma={gamma}"
            + " scale_v_pred_loss_like_noise_pred=true debiased_estimation_loss=true");
    KEYS.put("offset_noise", "offset_noise={strength}");
    KEYS.put("offset_noise_adaptive", "offset_noise={strength} adaptive_noise_scale={adaptive}");
    KEYS.put("multires_noise", "multires_noise_iterations=4 multires_noise_discount={discount}");
    KEYS.put("input_perturbation_epsilon", "ip_noise_gamma={gamma}");
    KEYS.put("input_perturbation_v", "ip_noise_gamma={gamma}");
    KEYS.put("input_perturbation_onetrainer", "perturbation_noise_weight={gamma}");
    for (String name : new String[] {"dream_epsilon_1", "dream_epsilon_0.5", "dream_v_1"}) {
      KEYS.put(name, "use_dream=true dream_detail_preservation={detail_preservation}");
    }
  }

  private static final String LEVEL = "input.level.";

  private static final String MASK = "input.latent_mask";

  private static final String PRIOR_PREDICTION = "input.prior_prediction";

  private static final int INSTANCES = 2;

  private final Arena arena;
  private final Golden golden;
  private final NoiseSchedule schedule;
  private final LossConfig loss;
  private final LossRecipe recipe;
  private final Objective objective;
  private final Tensor timesteps;
  private final @Nullable Tensor mask;

  private ObjectiveCase(Arena arena, Golden golden) {
    this.arena = arena;
    this.golden = golden;
    schedule = NoiseSchedule.of(scheduler(golden));
    Config config = ConfigReader.read(null, keys(golden)).config();
    loss = config.loss();
    recipe = LossRecipe.of(config);
    objective = recipe.objective().apply(schedule);
    timesteps = golden.input(arena, "input.timestep");
    mask = mask();
  }

  static void run(Arena arena, Golden golden) {
    new ObjectiveCase(arena, golden).compare();
  }

  /** The keys of a run that computes this case. */
  static Map<String, String> keys(Golden golden) {
    String name = golden.setting("name").asText();
    String written = KEYS.get(name);
    if (written == null) {
      throw golden.notUnderstood("objective " + name);
    }
    String filled =
        SETTING.matcher(written).replaceAll(each -> golden.setting(each.group(1)).asText());
    Map<String, String> keys = new HashMap<>(Map.of("instance_data_dir", "pictures"));
    for (String each : filled.split(" ", -1)) {
      int equals = each.indexOf('=');
      if (equals > 0) {
        keys.put(each.substring(0, equals), each.substring(equals + 1));
      }
    }
    return keys;
  }

  /** The noise schedule of Stable Diffusion with what the case says of it. */
  private static SchedulerConfig scheduler(Golden golden) {
    ObjectNode values = JsonNodeFactory.instance.objectNode();
    values.put("beta_schedule", "scaled_linear").put("beta_start", 0.00085).put("beta_end", 0.012);
    values.set("prediction_type", golden.setting("prediction_type"));
    values.set("rescale_betas_zero_snr", golden.setting("zero_terminal_snr"));
    return SchedulerConfig.of(values);
  }

  private void compare() {
    Tensor target = noised();
    table("output.weight", objective.timestepWeights(arena));
    table("output.huber_c", objective.thresholds(arena));
    Tensor prediction = latents("input.prediction");
    losses(prediction, target);
  }

  /** A recorded tensor of latents in our layout. */
  private Tensor latents(String name) {
    return ChannelsLast.of(arena, golden.input(arena, name));
  }

  private void output(String name, Tensor ours) {
    golden.output(arena, name, ChannelsLast.undo(arena, ours).toFloats(), Limits.OBJECTIVE);
  }

  /** The rows' entries of a table of all timesteps, where the case has them. */
  private void table(String name, Tensor all) {
    if (!golden.has(name)) {
      return;
    }
    float[] values = all.toFloats();
    long[] rows = timesteps.toLongs();
    float[] ours = new float[rows.length];
    for (int i = 0; i < ours.length; i++) {
      ours[i] = values[(int) rows[i]];
    }
    golden.output(arena, name, ours, Limits.OBJECTIVE);
  }

  /** Compares what the network sees; the target. */
  private Tensor noised() {
    Tensor rowIndex = arena.zeros("row index", DType.I32, timesteps.count());
    NoiseDraws draws =
        new NoiseDraws(0, rowIndex, arena.zeros("step", DType.I64, 1), recordedDraws());
    Tensor x0 = latents("input.x0");
    Tensor roots = schedule.roots(arena);
    NoiseKernels.Noise noise =
        recipe.noise().noise(arena, draws, x0, timesteps, schedule.offsetFactors(arena));
    Tensor given = noise.given();
    if (golden.has("output.noise") && given != null && noise.strength() == 0) {
      output("output.noise", given);
    }
    boolean velocity = objective.prediction() == Prediction.VELOCITY;
    NoiseTarget.Result plain =
        NoiseTarget.apply(arena, noise, x0, timesteps, roots, rowIndex, draws.step(), velocity);
    NoiseTarget.Result result = recipe.noise().perturbed(arena, draws, timesteps, roots, plain);
    if (recipe.dream() != null) {
      output("output.first_noisy", result.noisy());
      Tensor first = latents("input.first_prediction");
      result = NoiseTarget.dream(arena, result, first, timesteps, roots, recipe.dream(), velocity);
    }
    output("output.noisy", result.noisy());
    output("output.target", result.target());
    if (golden.has("output.noise") && noise.strength() != 0) {
      output("output.noise", result.target()); // of models that predict it
    }
    return result.target();
  }

  private Map<String, Tensor> recordedDraws() {
    Map<String, Tensor> draws = new HashMap<>();
    draws.put(NoiseDraws.NOISE, latents("input.noise"));
    for (String name : golden.names("input.")) {
      switch (name) {
        case "input.offset" -> draws.put(NoiseDraws.OFFSET, latents(name));
        case "input.perturbation" -> {
          draws.put(NoiseDraws.SEEN, latents(name));
          draws.put(NoiseDraws.BOTH, latents(name));
        }
        default -> {
          if (name.startsWith(LEVEL)) {
            int level = Integer.parseInt(name.substring(LEVEL.length()));
            draws.put(NoiseDraws.level(level), latents(name));
            draws.put(NoiseDraws.radius(level), radius(level));
          }
        }
      }
    }
    return draws;
  }

  private Tensor radius(int level) {
    float radius = (float) golden.setting("radii").path(level).asDouble();
    return arena.floats("radius", new float[] {radius}, 1);
  }

  private void losses(Tensor prediction, Tensor target) {
    int rows = (int) timesteps.count();
    float[] ofRows = new float[rows];
    for (int i = 0; i < rows; i++) {
      Tensor one = prediction.rows(i, 1);
      ofRows[i] = loss(one, target.rows(i, 1), i, 1)[0];
    }
    golden.output(arena, "output.row_loss", ofRows, Limits.OBJECTIVE);
    golden.output(
        arena,
        "output.loss",
        new float[] {loss(prediction, target, 0, INSTANCES)[0]},
        Limits.OBJECTIVE);
  }

  private Var compared(
      Tape tape,
      Var prediction,
      Tensor target,
      LossKernels.Weights weights,
      @Nullable Tensor mask,
      Tensor losses) {
    LossKernels.Measure measure =
        new LossKernels.Measure(objective.form(), objective.thresholds(arena), mask);
    return RowLoss.apply(tape, prediction, target, weights, measure, losses);
  }

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  /** What the recorded masks make of places: [B, h, w]; null where there are none. */
  private @Nullable Tensor mask() {
    boolean large = golden.has("input.mask");
    if (!large && !golden.has(MASK)) {
      return null;
    }
    Tensor recorded = golden.input(arena, large ? "input.mask" : MASK);
    int rows = (int) recorded.size(0);
    int width = (int) recorded.size(3);
    float[] values = recorded.toFloats();
    float[] averaged = LossMask.averaged(values, width, large ? 2 : 1);
    if (large) {
      golden.output(arena, "output.latent_mask", averaged.clone(), Limits.OBJECTIVE);
    }
    int each = averaged.length / rows;
    for (int row = 0; row < rows; row++) {
      float[] own = Arrays.copyOfRange(averaged, row * each, (row + 1) * each);
      LossMask.weights(own, loss.unmaskedWeight(), loss.normalizesMasks());
      System.arraycopy(own, 0, averaged, row * each, each);
    }
    width = large ? width / 2 : width;
    return arena.floats("mask", averaged, rows, each / width, width);
  }

  /** The losses of rows from {@code first} on, of which so many are instance rows. */
  private float[] loss(Tensor prediction, Tensor target, int first, int instances) {
    int rows = (int) prediction.size(0);
    Tensor one = arena.floats("1", new float[] {1}, 1);
    float prior = (float) golden.setting("prior_loss_weight").asDouble();
    LossKernels.Weights weights =
        new LossKernels.Weights(
            instances,
            timesteps.rows(first, rows),
            objective.timestepWeights(arena),
            arena.floats("of row", ones(rows), rows),
            arena.floats("prior", new float[] {prior}, 1),
            one,
            one,
            !recipe.split());
    Tensor losses = arena.zeros("losses", DType.F32, 3);
    try (Tape tape = Tape.recording(arena)) {
      Var input = tape.input(prediction);
      Tensor seen = mask == null ? null : mask.rows(first, rows);
      Var compared = compared(tape, input, target, weights, seen, losses);
      if (seen != null && golden.has(PRIOR_PREDICTION)) {
        // OneTrainer's masked prior preservation: outside of the mask, the frozen model's answer.
        Tensor outside = RowLoss.outside(arena, seen, recipe.maskedPrior());
        Tensor frozen = latents(PRIOR_PREDICTION).rows(first, rows);
        compared =
            Add.apply(tape, compared, compared(tape, input, frozen, weights, outside, losses));
      }
      tape.backward(compared);
      if (rows == timesteps.count()) {
        Tensor gradient = Objects.requireNonNull(input.gradient());
        golden.output(
            arena,
            "grad.prediction",
            ChannelsLast.undo(arena, gradient).toFloats(),
            Limits.OBJECTIVE);
      }
    }
    return losses.toFloats();
  }
}
