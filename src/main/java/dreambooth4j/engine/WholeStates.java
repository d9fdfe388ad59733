package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What an optimizer that is cut over processes remembers, all of it in the first process, as
 * checkpoints have it: in the machine's own memory whatever the device, until this is closed.
 */
public final class WholeStates implements AutoCloseable {
  /** Elements that are passed at once. */
  private static final long PIECE = 1 << 24;

  private final Shards shards;
  private final Peers peers;
  private final Arena host;
  private final List<Map<StateTensor, Tensor>> all = new ArrayList<>();
  private @Nullable Problem failed;

  private WholeStates(Arena run, Shards shards, Peers peers) {
    this.shards = shards;
    this.peers = peers;
    host = run.onHost();
  }

  /**
   * Gathers them. All processes call it; null where there is nothing to gather, for the optimizer
   * is not cut.
   */
  public static @Nullable WholeStates gather(Arena run, Optimizer optimizer) {
    Peers peers = optimizer.shards().peers();
    if (peers == null) {
      return null;
    }
    WholeStates whole = new WholeStates(run, optimizer.shards(), peers);
    List<OptimizerState> states = optimizer.states();
    if (peers.rank() == 0) {
      whole.allocate(states);
    }
    double failures = whole.failed == null ? 0 : 1;
    if (optimizer.shards().total(run, failures)[0] == 0) {
      for (int i = 0; i < states.size(); i++) {
        whole.gather(states.get(i), peers.rank() == 0 ? whole.all.get(i) : Map.of());
      }
    }
    return whole;
  }

  /**
   * All of each group, by what it is; on the first process alone.
   *
   * @throws Problem where it has no memory for them
   */
  public List<Map<StateTensor, Tensor>> all() {
    if (failed != null) {
      throw failed;
    }
    return List.copyOf(all);
  }

  private void allocate(List<OptimizerState> states) {
    try {
      for (OptimizerState state : states) {
        Map<StateTensor, Tensor> whole = new LinkedHashMap<>();
        state.tensors().forEach((what, tensor) -> whole.put(what, whole(state, what, tensor)));
        all.add(whole);
      }
    } catch (Problem e) {
      failed =
          new Problem(
              Problem.Kind.FAILED,
              "rank 0 has no memory for the optimizer's states of all ranks (%s)"
                  .formatted(e.getMessage()),
              e);
    }
  }

  private Tensor whole(OptimizerState state, StateTensor what, Tensor here) {
    return what.extent().isCut()
        ? host.allocate(what.name(), what.dtype(), state.count(what))
        : here;
  }

  private void gather(OptimizerState state, Map<StateTensor, Tensor> whole) {
    state
        .tensors()
        .forEach(
            (what, own) -> {
              if (what.extent().isCut()) {
                gather(state.parameters(), what, own, whole.get(what));
              }
            });
  }

  /** Each process in turn tells the others what it has, piece by piece. */
  private void gather(Parameters parameters, StateTensor what, Tensor own, @Nullable Tensor to) {
    for (int rank = 0; rank < peers.size(); rank++) {
      Parameters.Span stretch = shards.of(rank, parameters.flatCount());
      long from = what.extent().of(parameters, stretch.from());
      long length = what.extent().of(parameters, stretch.length());
      for (long at = 0; at < length; at += PIECE) {
        long count = Math.min(PIECE, length - at);
        Tensor piece =
            rank == peers.rank()
                ? own.rows(at, count)
                : own.arena().allocate(what.name(), what.dtype(), count);
        peers.broadcast(piece, rank);
        peers.finish();
        if (to != null) {
          Tensor place = to.rows(from + at, count);
          place.copyFrom(piece);
          place.release();
        }
        piece.release();
      }
    }
  }

  /** Frees them. */
  @Override
  public void close() {
    host.close();
  }
}
