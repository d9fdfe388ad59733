package dreambooth4j.train;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.NoiseDraws;
import dreambooth4j.engine.op.NoiseTarget;
import dreambooth4j.model.Conditioning;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The fixed places on the device that a step reads a batch from: written before it, the same for
 * all batches of one shape, so that a captured step can be replayed on another batch.
 *
 * <table>
 * <caption>Places; B rows; all owned by the given arena</caption>
 * <tr><th>place</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>latents</td><td>[B, h, w, channels]</td><td>F32</td></tr>
 * <tr><td>prompts</td><td>each as given: hidden states, token ids, sizes</td><td>as given</td></tr>
 * <tr><td>rowIndex, lossWeights</td><td>[B]</td><td>I32, F32</td></tr>
 * <tr><td>timesteps</td><td>[B]; drawn by the step unless given</td><td>I64</td></tr>
 * <tr><td>known noisy, known targets</td><td>[prior rows, h, w, channels]; only where prior rows are
 * known before</td><td>F32</td></tr>
 * <tr><td>known timesteps</td><td>[prior rows]; likewise</td><td>I64</td></tr>
 * <tr><td>mask</td><td>[B, h, w]; only with masked_loss</td><td>F32</td></tr>
 * <tr><td>noise, shifts</td><td>as latents, [B, channels]; only where given</td><td>F32</td></tr>
 * </table>
 */
final class BatchPlaces {
  /** What two batches share that are trained in the same places. */
  record Shape(
      List<Long> latents,
      Map<String, List<Long>> prompts,
      int instanceRows,
      boolean masked,
      boolean known,
      boolean given,
      boolean shifted) {
    static Shape of(TrainingBatch batch) {
      TrainingBatch.Given given = batch.given();
      return new Shape(
          list(batch.latents()),
          batch.prompts().map((name, tensor) -> list(tensor)).named(),
          batch.instanceRows(),
          batch.mask() != null,
          batch.known() != null,
          given != null,
          given != null && given.shifts() != null);
    }

    private static List<Long> list(Tensor tensor) {
      return Arrays.stream(tensor.shape()).boxed().toList();
    }
  }

  /** Places of what is known of prior rows. */
  private record Known(Tensor noisy, Tensor targets, Tensor timesteps) {}

  final Tensor latents;
  final Conditioning<Tensor> prompts;
  final boolean hasTokens;
  final int instanceRows;
  final Tensor rowIndex;
  final Tensor lossWeights;
  final Tensor timesteps;
  final @Nullable Tensor mask;
  private final @Nullable Known known;
  private final @Nullable Tensor noise;
  private final @Nullable Tensor shifts;

  /** Allocates the places for batches shaped like this one. */
  BatchPlaces(Arena arena, TrainingBatch like) {
    long rows = like.rows();
    long[] shape = like.latents().shape();
    TrainingBatch.Given given = like.given();
    latents = arena.allocate("latents", DType.F32, shape);
    prompts = like.prompts().map((name, each) -> arena.allocate(name, each.dtype(), each.shape()));
    hasTokens = like.hasTokens();
    instanceRows = like.instanceRows();
    rowIndex = arena.allocate("row index", DType.I32, rows);
    lossWeights = arena.allocate("loss weights", DType.F32, rows);
    timesteps = arena.allocate("timesteps", DType.I64, rows);
    mask = like.mask() == null ? null : arena.allocate("mask", DType.F32, like.mask().shape());
    known = like.known() == null ? null : known(arena, like.known());
    noise = given == null ? null : arena.allocate("noise", DType.F32, shape);
    shifts =
        given == null || given.shifts() == null
            ? null
            : arena.allocate("shifts", DType.F32, rows, shape[shape.length - 1]);
  }

  private static Known known(Arena arena, TrainingBatch.Known like) {
    long[] shape = like.noisy().shape();
    return new Known(
        arena.allocate("known noisy", DType.F32, shape),
        arena.allocate("known targets", DType.F32, shape),
        arena.allocate("known timesteps", DType.I64, shape[0]));
  }

  /** Copies a batch of this shape into its places. */
  void write(TrainingBatch batch) {
    latents.copyFrom(batch.latents());
    batch.prompts().forEach((name, each) -> prompts.get(name).copyFrom(each));
    rowIndex.copyFrom(batch.rowIndex());
    lossWeights.copyFrom(batch.lossWeights());
    Tensor masked = batch.mask();
    if (masked != null && mask != null) {
      mask.copyFrom(masked);
    }
    TrainingBatch.Known prior = batch.known();
    if (prior != null && known != null) {
      known.noisy.copyFrom(prior.noisy());
      known.targets.copyFrom(prior.targets());
      known.timesteps.copyFrom(prior.timesteps());
    }
    TrainingBatch.Given given = batch.given();
    if (given != null && noise != null) {
      noise.copyFrom(given.noise());
      timesteps.copyFrom(given.timesteps());
      Tensor drawn = given.shifts();
      if (drawn != null && shifts != null) {
        Tensor flat = drawn.reshaped(shifts.shape());
        shifts.copyFrom(flat);
        flat.release();
      }
    }
  }

  /** What is told of the prior rows alone: views, which the caller releases. */
  Conditioning<Tensor> priorPrompts() {
    return prompts(instanceRows, rowIndex.count() - instanceRows);
  }

  /** What is told of the instance rows alone, as {@link #priorPrompts}. */
  Conditioning<Tensor> instancePrompts() {
    return prompts(0, instanceRows);
  }

  private Conditioning<Tensor> prompts(long first, long count) {
    return prompts.map(
        (name, each) -> {
          long ofRow = each.size(0) / rowIndex.count(); // token ids have several for each
          return each.rows(first * ofRow, count * ofRow);
        });
  }

  /** Puts the timesteps of known prior rows in the place of those that were drawn. */
  void recallTimesteps() {
    if (known != null) {
      copyToPrior(known.timesteps, timesteps);
    }
  }

  /** Puts what is known of prior rows in the place of what was drawn for them. */
  void recall(NoiseTarget.Result noised) {
    if (known != null) {
      copyToPrior(known.noisy, noised.noisy());
      copyToPrior(known.targets, noised.target());
    }
  }

  private void copyToPrior(Tensor from, Tensor to) {
    Tensor rows = to.rows(instanceRows, from.size(0));
    rows.copyFrom(from);
    rows.release();
  }

  /** Whether there are prior rows. */
  boolean hasPrior() {
    return rowIndex.count() > instanceRows;
  }

  /** Whether noise and timesteps lie here already. */
  boolean isGiven() {
    return noise != null;
  }

  /** The draws of its rows: made for this seed and step, or those that lie here. */
  NoiseDraws draws(long seed, Tensor step) {
    Map<String, Tensor> given = new HashMap<>();
    if (noise != null) {
      given.put(NoiseDraws.NOISE, noise);
    }
    if (shifts != null) {
      given.put(NoiseDraws.OFFSET, shifts);
    }
    return new NoiseDraws(seed, rowIndex, step, given);
  }
}
