package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What an optimizer that is cut over processes remembers, all of it in the first process, as
 * checkpoints have it: in the machine's own memory whatever the device, until this is closed.
 */
public final class WholeStates implements AutoCloseable {
  /** Elements that are passed at once. */
  private static final long PIECE = 1 << 24;

  private static final String PASSING = "to pass on its part of the optimizer's states";

  private final Shards shards;
  private final Peers peers;
  private final List<OptimizerState> states;
  private final Arena host;
  private final List<Map<StateTensor, Tensor>> all = new ArrayList<>();

  /** Bytes that it takes in the first process. */
  private final long needed;

  private @Nullable Problem failed;

  private WholeStates(Arena host, Peers peers, Optimizer optimizer, long needed) {
    this.host = host;
    this.needed = needed;
    this.peers = peers;
    shards = optimizer.shards();
    states = optimizer.states();
  }

  /**
   * Gathers them where all processes have the memory for it, which is found out before anything is
   * sent. All processes call it; null where there is nothing to gather, for the optimizer is not
   * cut.
   *
   * @throws Problem where another process is lost meanwhile
   */
  public static @Nullable WholeStates gather(Arena run, Optimizer optimizer) {
    return gather(run, optimizer, () -> ProcessMemory.limit(ProcessMemory.available()));
  }

  /**
   * As above.
   *
   * @param room bytes of the machine's own memory that are left; asked where {@code run} is on a
   *     device, for on the host its own limit counts
   */
  static @Nullable WholeStates gather(Arena run, Optimizer optimizer, Supplier<OptionalLong> room) {
    Peers peers = optimizer.shards().peers();
    if (peers == null) {
      return null;
    }
    Arena host = run.isOnHost() ? run.child("states of all ranks") : run.onHost();
    if (!run.isOnHost() && peers.rank() == 0) {
      room.get().ifPresent(host.meter()::limit);
    }
    WholeStates whole = new WholeStates(host, peers, optimizer, bytes(run, optimizer));
    try (Arena passing = run.child("passed states")) {
      Map<DType, Tensor> pieces = whole.allocate(passing, longest(optimizer));
      if (whole.everyoneCan(run)) {
        whole.gather(pieces);
      }
      return whole;
    } catch (RuntimeException | Error e) {
      whole.close();
      throw e;
    }
  }

  /**
   * All of each group, by what it is; on the first process alone.
   *
   * @throws Problem where {@link #isMissing}
   */
  public List<Map<StateTensor, Tensor>> all() {
    if (failed != null) {
      throw failed;
    }
    return List.copyOf(all);
  }

  /** Whether they are not there, for a process has no memory for them. */
  public boolean isMissing() {
    return failed != null;
  }

  /** What this process needs for it: on the first one all, and on each a piece of each type. */
  private Map<DType, Tensor> allocate(Arena passing, Map<DType, Long> longest) {
    Map<DType, Tensor> pieces = new EnumMap<>(DType.class);
    try {
      if (peers.rank() == 0) {
        states.forEach(state -> all.add(whole(state)));
      }
      longest.forEach((type, count) -> pieces.put(type, passing.allocate("piece", type, count)));
    } catch (Problem e) {
      failed = without(peers.rank(), e);
      drop(); // so that there is some for what comes
    }
    return pieces;
  }

  /**
   * Bytes of the machine's own memory that {@link #gather} takes in the first process: all of what
   * is cut and, where {@code run} is in it, a piece of each type. 0 where nothing is cut.
   *
   * @param run may be dry
   */
  public static long bytes(Arena run, Optimizer optimizer) {
    long bytes = 0;
    for (OptimizerState state : optimizer.states()) {
      for (StateTensor what : state.tensors().keySet()) {
        boolean copied = optimizer.shards().areCut() && what.extent().isCut();
        bytes += copied ? state.count(what) * what.dtype().bytes() : 0;
      }
    }
    if (bytes > 0 && run.device() == Device.CPU) {
      for (Map.Entry<DType, Long> piece : longest(optimizer).entrySet()) {
        bytes += piece.getValue() * piece.getKey().bytes();
      }
    }
    return bytes;
  }

  private Problem without(int rank, @Nullable Problem cause) {
    String part =
        rank == 0
            ? "for the optimizer's states of all ranks, " + ProcessMemory.shown(needed)
            : PASSING;
    return new Problem(
        Problem.Kind.FAILED, "rank %d has no memory %s".formatted(rank, part), cause);
  }

  private void drop() {
    all.clear();
    host.close();
  }

  private Map<StateTensor, Tensor> whole(OptimizerState state) {
    Map<StateTensor, Tensor> whole = new LinkedHashMap<>();
    state
        .tensors()
        .forEach(
            (what, here) ->
                whole.put(
                    what,
                    what.extent().isCut()
                        ? host.allocate(what.name(), what.dtype(), state.count(what))
                        : here));
    return whole;
  }

  /** Elements of the longest piece of each type. */
  private static Map<DType, Long> longest(Optimizer optimizer) {
    Map<DType, Long> longest = new EnumMap<>(DType.class);
    for (OptimizerState state : optimizer.states()) {
      for (StateTensor what : state.tensors().keySet()) {
        if (what.extent().isCut()) {
          long stretch = optimizer.shards().of(0, state.parameters().flatCount()).length();
          long count = Math.min(PIECE, what.extent().of(state.parameters(), stretch));
          longest.merge(what.dtype(), count, Math::max);
        }
      }
    }
    return longest;
  }

  /** Whether all processes have what they need; each knows it of all then. */
  private boolean everyoneCan(Arena run) {
    double[] failures = new double[peers.size()];
    failures[peers.rank()] = failed == null ? 0 : 1;
    double[] all = shards.total(run, failures);
    for (int rank = 0; rank < all.length; rank++) {
      if (all[rank] != 0) {
        failed = failed == null ? without(rank, null) : failed;
        drop();
        return false;
      }
    }
    return true;
  }

  private void gather(Map<DType, Tensor> pieces) {
    for (int i = 0; i < states.size(); i++) {
      OptimizerState state = states.get(i);
      Map<StateTensor, Tensor> whole = peers.rank() == 0 ? all.get(i) : Map.of();
      state
          .tensors()
          .forEach(
              (what, own) -> {
                if (what.extent().isCut()) {
                  Tensor piece = Objects.requireNonNull(pieces.get(what.dtype()));
                  gather(state.parameters(), what, own, piece, whole.get(what));
                }
              });
    }
  }

  /** Each process in turn tells the others what it has, piece by piece. */
  private void gather(
      Parameters parameters, StateTensor what, Tensor own, Tensor buffer, @Nullable Tensor to) {
    for (int rank = 0; rank < peers.size(); rank++) {
      Parameters.Span stretch = shards.of(rank, parameters.flatCount());
      long from = what.extent().of(parameters, stretch.from());
      long length = what.extent().of(parameters, stretch.length());
      for (long at = 0; at < length; at += PIECE) {
        long count = Math.min(PIECE, length - at);
        Tensor piece = rank == peers.rank() ? own.rows(at, count) : buffer.rows(0, count);
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
