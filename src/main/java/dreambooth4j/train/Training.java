package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.GradientBuckets;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Shards;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.Group;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A training put together: model, objective, optimizer, averages and step, once, for every caller:
 * the trainer, the memory plan (in a dry arena), verify, doctor and the benches.
 */
public final class Training implements AutoCloseable {
  /** Gradients are sent in pieces of so many bytes, as DDP does: the last one is not hidden. */
  private static final long BUCKET_BYTES = 25 << 20;

  private final Arena run;
  private final List<Parameters> groups;
  private final Arena places;
  private final StepScalars scalars;
  private final Optimizer optimizer;
  private final @Nullable Ema ema;
  private final TrainingStep step;
  private final Map<BatchPlaces.Shape, BatchPlaces> byShape = new HashMap<>();
  private @Nullable CapturedStep captured;

  private Training(Arena run, LearningModel model, Recipe recipe, Shards shards) {
    this.run = run;
    groups = model.parameters();
    places = run.child("batch places");
    scalars = new StepScalars(run);
    optimizer = recipe.updating(run, model.groups(), shards);
    ema = recipe.ema().used() ? new Ema(run, recipe.ema(), groups) : null;
    step =
        new TrainingStep(
            run,
            model,
            recipe.loss(),
            recipe.seed(),
            recipe.checkpoints(),
            scalars,
            optimizer,
            ema);
  }

  /** Moments, averages and fixed places are allocated in {@code run}, which may be dry. */
  public static Training assemble(Arena run, LearningModel model, Recipe recipe) {
    return new Training(run, model, recipe, Shards.NONE);
  }

  /**
   * As {@link #assemble(Arena, LearningModel, Recipe)}, of a loaded model, as a run is configured;
   * what no prompt reaches is frozen in it.
   *
   * @param ranks share the optimizer's states where {@code shard_optimizer} says so
   */
  static Training assemble(Arena run, StableDiffusion model, Config config, Ranks ranks) {
    TextEncoding how = TextEncoding.ofCaptions(config);
    model.freezeUnused(how);
    LearningModel learning =
        new LearningModel(
            model.unet(),
            new PromptEncoder(model, how)::encode,
            NoiseSchedule.of(model.scheduler()),
            model.trained().stream().map(Group::learning).toList(),
            config.prior().predicts() && !config.prior().remembers()
                ? model::withoutAdapters
                : null,
            config.loss().maskedPrior() > 0 ? model::withoutAdapters : null,
            model::drawDropout);
    boolean cut = config.memory().shardOptimizer() && ranks.size() > 1;
    return new Training(run, learning, Recipe.of(config), cut ? new Shards(ranks) : Shards.NONE);
  }

  /** What updates the weights. */
  public Optimizer optimizer() {
    return optimizer;
  }

  /** What it trains. */
  List<Parameters> groups() {
    return groups;
  }

  /** The averaged weights; null where none are kept. */
  @Nullable Ema ema() {
    return ema;
  }

  /**
   * Takes one step of these batches: their gradients are means over them.
   *
   * @param batches each made in an arena that is closed once its content lies in its places
   */
  public StepResult step(StepSettings settings, List<Function<Arena, TrainingBatch>> batches) {
    write(settings, batches.size());
    if (captured != null) {
      BatchPlaces in = placed(batches.get(0));
      captured.run(in);
      return scalars.read(settings, in.hasPrior());
    }
    boolean hasPrior = forwardBackward(batches);
    step.update();
    return scalars.read(settings, hasPrior);
  }

  /**
   * Takes one step together with other ranks, whose losses and gradients are added to these.
   *
   * @param batches this rank's part of the step; none where others have all of it
   * @param of batches of the whole step
   * @param hasPrior whether the whole step has prior rows
   */
  StepResult step(
      StepSettings settings,
      List<Function<Arena, TrainingBatch>> batches,
      int of,
      boolean hasPrior,
      Ranks ranks) {
    write(settings, of);
    step.begin();
    GradientBuckets gradients = optimizer.buckets(BUCKET_BYTES);
    for (int i = 0; i < batches.size(); i++) {
      BatchPlaces in = placed(batches.get(i));
      if (i < batches.size() - 1) {
        step.forwardBackward(in);
      } else {
        gradients.begin();
        step.forwardBackward(
            in, () -> gradients.complete((each, owner) -> sum(each, owner, ranks)));
      }
    }
    gradients.rest((each, owner) -> sum(each, owner, ranks));
    ranks.begin(scalars.losses);
    ranks.finish();
    step.update();
    return scalars.read(settings, hasPrior);
  }

  private static void sum(Tensor gradients, int owner, Ranks ranks) {
    if (owner == GradientBuckets.ALL) {
      ranks.begin(gradients);
    } else {
      ranks.reduce(gradients, owner);
    }
    gradients.release();
  }

  /** After an error: whether it left some weights before the step and others after it. */
  boolean isUpdating() {
    return step.isUpdating();
  }

  /** Gathers losses and gradients of a step; whether there were prior rows. */
  private boolean forwardBackward(List<Function<Arena, TrainingBatch>> batches) {
    boolean hasPrior = false;
    step.begin();
    for (Function<Arena, TrainingBatch> each : batches) {
      BatchPlaces in = placed(each);
      hasPrior |= in.hasPrior();
      step.forwardBackward(in);
    }
    return hasPrior;
  }

  /** Says how the steps to come learn, until {@link #step} says it anew. */
  void write(StepSettings settings, int batches) {
    scalars.write(settings, batches);
  }

  /**
   * The gradients of a step without its update (with fused_backward_pass, with it), with the
   * settings of the last {@link #write}: to look for the one that is not finite.
   */
  void gradients(List<Function<Arena, TrainingBatch>> batches) {
    forwardBackward(batches);
  }

  /**
   * What the model says now of one row, as a step of this number would noise it: F32 [2n + 1], the
   * noisy latents, what is predicted of them, and the timestep; held by the caller.
   */
  Tensor predict(Function<Arena, TrainingBatch> row, int number) {
    write(new StepSettings(number, 0, 0, 1, 0), 1);
    List<float[]> parts = new ArrayList<>();
    try (Arena arena = run.child("row")) {
      TrainingBatch batch = row.apply(arena);
      BatchPlaces in = new BatchPlaces(arena, batch);
      in.write(batch);
      step.predict(
          in,
          (noisy, predicted, timesteps) -> {
            parts.add(noisy.toFloats());
            parts.add(predicted.toFloats());
            parts.add(new float[] {timesteps.toLongs()[0]});
          });
    }
    int n = parts.get(0).length;
    float[] all = Arrays.copyOf(parts.get(0), 2 * n + 1);
    System.arraycopy(parts.get(1), 0, all, n, n);
    all[2 * n] = parts.get(2)[0];
    return run.floats("prediction", all, all.length);
  }

  /** The forward of these batches op by op: throws at the first number that is not finite. */
  void explain(List<Function<Arena, TrainingBatch>> batches) {
    batches.forEach(each -> step.explain(placed(each)));
  }

  private BatchPlaces placed(Function<Arena, TrainingBatch> made) {
    try (Arena arena = run.child("batch")) {
      TrainingBatch batch = made.apply(arena);
      BatchPlaces in =
          byShape.computeIfAbsent(
              BatchPlaces.Shape.of(batch), shape -> new BatchPlaces(places, batch));
      in.write(batch);
      return in;
    }
  }

  /**
   * From here on whole steps of one batch are captured by this recorder, which is closed with this,
   * and replayed.
   *
   * @param required whether a capture that fails is a {@link dreambooth4j.Problem}, otherwise a
   *     note
   */
  public CapturedStep capture(Recorder recorder, boolean required, Consumer<String> notes) {
    CapturedStep made = new CapturedStep(step, recorder, required, notes);
    captured = made;
    return made;
  }

  /** Frees what was captured, and the places; the rest is the run's. */
  @Override
  public void close() {
    if (captured != null) {
      captured.close();
      captured = null;
    }
    byShape.clear();
    places.close();
  }
}
