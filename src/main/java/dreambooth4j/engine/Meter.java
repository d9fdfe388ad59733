package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Counts the tensors of a whole tree of arenas: how many there are, their bytes, the most bytes at
 * once, and in a dry tree what part of the model they were made in. libtorch's own workspaces are
 * not counted.
 */
public final class Meter {
  private final boolean byPart;
  private long count;
  private long bytes;
  private long peakBytes;
  private long limitBytes = Long.MAX_VALUE;
  private String part = "";
  private final Map<String, Long> parts = new LinkedHashMap<>();
  private Map<String, Long> peakParts = Map.of();

  /** {@code byPart}: whether bytes are also counted for each part. */
  Meter(boolean byPart) {
    this.byPart = byPart;
  }

  /** Tensors alive. */
  public long liveCount() {
    return count;
  }

  /** Bytes alive. */
  public long liveBytes() {
    return bytes;
  }

  /** The most bytes that were alive at once. */
  public long peakBytes() {
    return peakBytes;
  }

  /** Forgets earlier peaks: {@link #peakBytes} starts from what is alive now. */
  public void resetPeak() {
    peakBytes = bytes;
  }

  /**
   * Does {@code body} and returns the most bytes that were alive meanwhile; what {@link #peakBytes}
   * was before is not forgotten.
   */
  public long peakOf(Runnable body) {
    long before = peakBytes;
    resetPeak();
    try {
      body.run();
      return peakBytes;
    } finally {
      peakBytes = Math.max(before, peakBytes);
    }
  }

  /** Names the part of a model that comes next, for {@link #peakParts}. */
  public void part(String name) {
    part = name;
  }

  /** Of a dry tree: what was alive at its peak, by the part that it was made in, in bytes. */
  public Map<String, Long> peakParts() {
    return Collections.unmodifiableMap(peakParts);
  }

  /** Refuses to count more than {@code most} bytes from now on. */
  public void limit(long most) {
    limitBytes = most;
  }

  /** The part that is named now. */
  String part() {
    return part;
  }

  /**
   * Asks for so many bytes more.
   *
   * @param who wants them, and {@code what} they are for
   * @throws Problem when the limit forbids it
   */
  void requireRoom(String who, String what, long wanted) {
    if (wanted > limitBytes - bytes) {
      throw new Problem(
          Problem.Kind.MEMORY,
          "%s: out of memory (%s: wanted %,d bytes, and of the %,d that the system had left %,d are in use). %s"
              .formatted(who, what, wanted, limitBytes, bytes, Native.SMALLER));
    }
  }

  /** Counts a tensor of this many bytes that was made in {@code ofPart}. */
  void add(String ofPart, long ownedBytes) {
    change(ofPart, 1, ownedBytes);
    if (bytes > peakBytes) {
      peakBytes = bytes;
      peakParts = byPart ? new LinkedHashMap<>(parts) : Map.of();
    }
  }

  /** Counts it no longer. */
  void remove(String ofPart, long ownedBytes) {
    change(ofPart, -1, -ownedBytes);
  }

  private void change(String ofPart, int tensors, long by) {
    count += tensors;
    bytes += by;
    if (byPart) {
      parts.merge(ofPart, by, Long::sum);
    }
  }
}
