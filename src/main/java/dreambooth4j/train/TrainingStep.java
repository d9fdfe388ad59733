package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.diffusion.Prediction;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.LossKernels;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.NoiseDraws;
import dreambooth4j.engine.op.NoiseRecipe;
import dreambooth4j.engine.op.NoiseTarget;
import dreambooth4j.engine.op.RowLoss;
import dreambooth4j.model.Conditioning;
import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One DreamBooth step: noise, predict, compare, backward; then clip, update, average. The loss is
 * the mean over the instance rows plus the prior loss weight times the mean over the prior rows,
 * each row weighted for its own timestep (reference: diffusers' train_dreambooth; its min-SNR
 * weights the mean of both halves by the instance rows' timesteps, which is a fault).
 *
 * <p>Inputs lie in fixed places ({@link BatchPlaces}, {@link StepScalars}) before it, results after
 * it, and in between the host decides nothing: so it is the same code on the CPU, on CUDA, captured
 * and dry. Accumulation is {@link #forwardBackward} for each batch between {@link #begin} and
 * {@link #update}; with fused_backward_pass the optimizer updates each weight within backward.
 */
final class TrainingStep {
  /** The part of a memory plan that is neither the model's nor the update's. */
  static final String BATCH = "batch";

  private final LearningModel model;
  private final Objective objective;
  private final LossRecipe recipe;
  private final long seed;
  private final Tape.Saving saving;
  private final Optimizer optimizer;
  private final @Nullable Ema ema;
  private final Arena run;
  private final StepScalars scalars;
  private final Tensor roots;
  private final Tensor timestepWeights;
  private final Tensor thresholds;
  private final Tensor offsetFactors;
  private final Tensor chances;
  private final long timestepKey;
  private Runnable afterEach = TrainingStep::nothing;

  /**
   * Its tables, of all timesteps, are allocated in {@code run}; the average is kept if not null.
   */
  TrainingStep(
      Arena run,
      LearningModel model,
      LossRecipe recipe,
      long seed,
      boolean checkpoints,
      StepScalars scalars,
      Optimizer optimizer,
      @Nullable Ema ema) {
    this.run = run;
    this.model = model;
    this.scalars = scalars;
    this.optimizer = optimizer;
    this.ema = ema;
    this.recipe = recipe;
    this.seed = seed;
    objective = recipe.objective().apply(model.schedule());
    saving = new Tape.Saving(checkpoints, this::passed);
    roots = model.schedule().roots(run);
    timestepWeights = objective.timestepWeights(run);
    thresholds = objective.thresholds(run);
    offsetFactors = model.schedule().offsetFactors(run);
    chances = recipe.timesteps().apply(objective.timesteps()).table(run);
    timestepKey = CounterRandom.key(seed, "timesteps");
  }

  /** Begins a step: its losses are 0. */
  void begin() {
    run.meter().part(BATCH);
    scalars.losses.zero_();
    optimizer.begin(scalars.learningRate);
  }

  /** Backward has passed an op. */
  private void passed() {
    optimizer.updateArrived();
    afterEach.run();
  }

  private static void nothing() {}

  /** As the other one; {@code after} is called once backward has passed an op, each time. */
  void forwardBackward(BatchPlaces in, Runnable after) {
    afterEach = after;
    try {
      forwardBackward(in);
    } finally {
      afterEach = TrainingStep::nothing;
    }
  }

  /** Adds the gradients of a batch's loss, and the loss itself, to those of the step. */
  void forwardBackward(BatchPlaces in) {
    try (Arena arena = run.child("step");
        Tape tape = Tape.recording(arena, saving)) {
      tape.backward(loss(tape, in));
    }
  }

  /** Clips, updates and averages, unless a gradient or the loss is not finite. */
  void update() {
    run.meter().part("update");
    optimizer.update(scalars.learningRate, scalars.lossScale, scalars.norm);
    optimizer.bringUpSaved();
    if (ema != null) {
      ema.update(scalars.emaRate, scalars.norm);
    }
    optimizer.end();
  }

  /** What was run since {@link #begin} was recorded, and has changed nothing. */
  void recorded() {
    optimizer.end();
  }

  /** After an error: whether it left some weights before the step and others after it. */
  boolean isUpdating() {
    return optimizer.isUpdating();
  }

  /** A whole step of one batch. */
  void run(BatchPlaces in) {
    begin();
    forwardBackward(in);
    update();
  }

  /** The forward once more, op by op: throws at the first that gives a number not finite. */
  void explain(BatchPlaces in) {
    try (Arena arena = run.child("explain");
        Tape tape = Tape.checked(arena)) {
      if (!in.latents.isFinite()) {
        throw new Problem(Problem.Kind.DIVERGED, "the latents of the pictures");
      }
      loss(tape, in);
    }
  }

  private Var loss(Tape tape, BatchPlaces in) {
    Arena arena = tape.arena();
    model.dropout().accept(in.draws(seed, scalars.step));
    NoiseTarget.Result noised = noised(arena, in);
    Tensor times = times(arena, in);
    if (recipe.dream() != null) {
      noised = dreamt(arena, in, noised, times, recipe.dream());
    }
    if (model.base() != null && in.hasPrior()) {
      noised = predicted(arena, in, noised, times, model.base());
    }
    in.recall(noised);
    Tensor kept = outside(arena, in, noised, times);
    Var prediction = predicted(tape, in, noised.noisy(), times);
    LossKernels.Measure measure = new LossKernels.Measure(objective.form(), thresholds, in.mask);
    Var loss =
        RowLoss.apply(tape, prediction, noised.target(), weights(in), measure, scalars.losses);
    if (kept != null && in.mask != null) {
      loss = keptOutside(tape, in, prediction, loss, kept, in.mask);
    }
    noised.target().release();
    times.release();
    return loss;
  }

  /**
   * The rows as they are noised in a step, and what the network says of them, without learning.
   *
   * @param told gets noisy samples, predictions (F32, as the latents) and timesteps (I64 [B])
   */
  void predict(BatchPlaces in, Answer told) {
    try (Arena arena = run.child("predict");
        Tape tape = Tape.inference(arena)) {
      NoiseTarget.Result noised = noised(arena, in);
      Var said = predicted(tape, in, noised.noisy(), times(arena, in));
      told.of(noised.noisy(), said.value(), in.timesteps);
    }
  }

  /** Is told what was predicted; tensors are there as long as the call. */
  @FunctionalInterface
  interface Answer {
    /** All of the same rows. */
    void of(Tensor noisy, Tensor predicted, Tensor timesteps);
  }

  private Var predicted(Tape tape, BatchPlaces in, Tensor noisy, Tensor times) {
    return model.unet().forward(tape, tape.constant(noisy), times, model.prompts(tape, in));
  }

  private static Tensor times(Arena arena, BatchPlaces in) {
    Tensor times = arena.allocate("timesteps", DType.F32, in.timesteps.count());
    times.copyFrom(in.timesteps);
    return times;
  }

  /** Draws timesteps, where they are not given, and noise. */
  private NoiseTarget.Result noised(Arena arena, BatchPlaces in) {
    if (!in.isGiven()) {
      NoiseTarget.timesteps(arena, in.rowIndex, scalars.step, in.timesteps, timestepKey, chances);
    }
    in.recallTimesteps();
    NoiseRecipe noise = recipe.noise();
    NoiseDraws draws = in.draws(seed, scalars.step);
    NoiseTarget.Result noised =
        NoiseTarget.apply(
            arena,
            noise.noise(arena, draws, in.latents, in.timesteps, offsetFactors),
            in.latents,
            in.timesteps,
            roots,
            in.rowIndex,
            scalars.step,
            isVelocity());
    return noise.perturbed(arena, draws, in.timesteps, roots, noised);
  }

  /** The same, moved by what the network says of it before it learns. */
  private NoiseTarget.Result dreamt(
      Arena arena, BatchPlaces in, NoiseTarget.Result noised, Tensor times, double detail) {
    try (Tape first = Tape.inference(arena)) {
      Var prediction = predicted(first, in, noised.noisy(), times);
      return NoiseTarget.dream(
          arena, noised, prediction.value(), in.timesteps, roots, detail, isVelocity());
    }
  }

  /** What instance rows are compared with outside of their masks; behind them class rows' own. */
  private @Nullable Tensor outside(
      Arena arena, BatchPlaces in, NoiseTarget.Result noised, Tensor times) {
    Consumer<Runnable> base = model.outside();
    if (base == null || in.mask == null) {
      return null;
    }
    long first = in.instanceRows;
    Tensor said = asked(arena, in, noised, times, base, 0, in.instancePrompts());
    if (!in.hasPrior()) {
      return said;
    }
    Tensor others = noised.target().rows(first, in.rowIndex.count() - first);
    Tensor all = Tensor.stack(arena, List.of(said, others));
    said.release();
    others.release();
    return all;
  }

  /** The same, the prior rows' targets being what the base model says of them. */
  private NoiseTarget.Result predicted(
      Arena arena,
      BatchPlaces in,
      NoiseTarget.Result noised,
      Tensor times,
      Consumer<Runnable> base) {
    long first = in.instanceRows;
    Tensor own = noised.target().rows(0, first);
    Tensor said = asked(arena, in, noised, times, base, first, in.priorPrompts());
    Tensor target = Tensor.stack(arena, List.of(own, said));
    Stream.of(own, said, noised.target()).forEach(Tensor::release);
    return new NoiseTarget.Result(noised.noisy(), target);
  }

  /** What the base model says of rows from {@code first} on, as many as are told; told is freed. */
  private Tensor asked(
      Arena arena,
      BatchPlaces in,
      NoiseTarget.Result noised,
      Tensor times,
      Consumer<Runnable> base,
      long first,
      Conditioning<Tensor> told) {
    long count = first == 0 ? in.instanceRows : in.rowIndex.count() - first;
    Tensor noisy = noised.noisy().rows(first, count);
    Tensor at = times.rows(first, count);
    List<Tensor> said = new ArrayList<>();
    base.accept(
        () -> {
          try (Tape tape = Tape.inference(arena)) {
            Conditioning<Var> prompts = model.prompts(tape, told, in.hasTokens);
            Var all = model.unet().forward(tape, tape.constant(noisy), at, prompts);
            said.add(all.value().retain());
          }
        });
    Conditioning.release(told);
    noisy.release();
    at.release();
    return said.get(0);
  }

  /**
   * The loss, and what it costs the instance rows to differ from the base model outside of their
   * masks: OneTrainer's masked prior preservation. Class rows have no mask, and nothing is added.
   */
  private Var keptOutside(
      Tape tape, BatchPlaces in, Var prediction, Var loss, Tensor kept, Tensor mask) {
    Tensor outside = RowLoss.outside(tape.arena(), mask, recipe.maskedPrior());
    LossKernels.Measure measure = new LossKernels.Measure(objective.form(), thresholds, outside);
    Var added = RowLoss.apply(tape, prediction, kept, weights(in), measure, scalars.losses);
    outside.release();
    kept.release();
    return Add.apply(tape, loss, added);
  }

  private boolean isVelocity() {
    return objective.prediction() == Prediction.VELOCITY;
  }

  private LossKernels.Weights weights(BatchPlaces in) {
    return new LossKernels.Weights(
        in.instanceRows,
        in.timesteps,
        timestepWeights,
        in.lossWeights,
        scalars.priorWeight,
        scalars.fraction,
        scalars.lossScale,
        !recipe.split());
  }
}
