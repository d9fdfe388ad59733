package dreambooth4j.engine;

import java.util.List;
import java.util.function.ObjIntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * How the flat buffers of parameters are cut over processes that train together, each of which
 * remembers moments of its own stretch alone and updates that alone (ZeRO-1, Rajbhandari et al.
 * 2020). A stretch is a number of whole blocks, so that what has one scale in 8 bits stays
 * together.
 *
 * @param peers the processes; null where nothing is cut
 */
public record Shards(@Nullable Peers peers) {
  /** Nothing is cut: this process updates all. */
  public static final Shards NONE = new Shards(null);

  /** Whether others have a part of it. */
  public boolean areCut() {
    return peers != null;
  }

  private int count() {
    return peers == null ? 1 : peers.size();
  }

  /** The stretch of a buffer of so many elements that is this process'. */
  public Parameters.Span own(long elements) {
    return of(peers == null ? 0 : peers.rank(), elements);
  }

  /**
   * The stretch that is another's; empty where there are fewer blocks than processes. None has more
   * than one block above another, and none more than the first, which plans are made for.
   */
  Parameters.Span of(int rank, long elements) {
    long from = begin(rank, elements);
    return new Parameters.Span(from, begin(rank + 1, elements) - from);
  }

  private long begin(int rank, long elements) {
    long blocks = elements / StateTensor.BLOCK;
    return (blocks * rank + count() - 1) / count() * StateTensor.BLOCK;
  }

  /** Hands on what each process has of a part of such a buffer: a view, which the user releases. */
  void cut(Tensor part, long from, long elements, ObjIntConsumer<Tensor> user) {
    Parameters.Span all = new Parameters.Span(from, part.count());
    for (int rank = 0; rank < count(); rank++) {
      Parameters.Span here = all.common(of(rank, elements));
      if (here.length() > 0) {
        user.accept(part.rows(here.from() - from, here.length()), rank);
      }
    }
  }

  /** Parts of a buffer of so many elements without what is not this process'. */
  List<Parameters.Span> ofOwn(List<Parameters.Span> all, long elements) {
    Parameters.Span own = own(elements);
    return all.stream().map(own::common).filter(each -> each.length() > 0).toList();
  }

  /** Sums over the stretches of all processes, of numbers that each has of its own. */
  double[] total(Arena arena, double... own) {
    if (peers == null || arena.isDry()) {
      return own;
    }
    Tensor sums = arena.allocate("sums", DType.F64, own.length);
    sums.copyFrom(own);
    peers.begin(sums);
    peers.finish();
    double[] all = sums.toDoubles();
    sums.release();
    return all;
  }

  /** Makes the norm of what this process has that of all, on the device. */
  public void totalNorm(Tensor norm) {
    if (peers != null && !norm.arena().isDry()) {
      Native.run("norm", () -> norm.handle().square_());
      peers.begin(norm);
      peers.finish();
      Native.run("norm", () -> norm.handle().sqrt_());
    }
  }

  /** Has each process give the others its stretch of a flat buffer. */
  void gather(Tensor flat) {
    Peers all = peers;
    if (all == null || flat.arena().isDry()) {
      return;
    }
    cut(
        flat,
        0,
        flat.count(),
        (part, owner) -> {
          all.broadcast(part, owner);
          part.release();
        });
    all.finish();
  }
}
