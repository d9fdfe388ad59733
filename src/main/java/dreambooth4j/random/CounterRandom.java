package dreambooth4j.random;

import java.nio.charset.StandardCharsets;

/**
 * Random numbers that are a pure function of (seed, purpose, step, row): a resumed run, another
 * batch split and a rerun draw the same ones, in any order and on any machine.
 *
 * <p>Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011; also the
 * generator of cuRAND and PyTorch on CUDA). The 64-bit key is a hash of seed and purpose; the
 * 128-bit counter is {block, row, step low, step high}. One object is a cursor over the blocks of
 * one such place: cheap to make, not for sharing between threads.
 */
public final class CounterRandom {
  private static final int ROUNDS = 10;
  private static final long MULTIPLIER_0 = 0xD2511F53L;
  private static final long MULTIPLIER_1 = 0xCD9E8D57L;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;
  private static final long LOW = 0xFFFFFFFFL;

  private final long key;
  private final int row;
  private final long step;
  private final int[] block = new int[4];
  private int nextBlock;
  private int used = block.length;

  private CounterRandom(long key, long step, int row) {
    this.key = key;
    this.step = step;
    this.row = row;
  }

  /**
   * The draws of one place.
   *
   * @param purpose what is drawn ("noise", "timesteps", "order"); two purposes never share a draw
   * @param step the step or epoch
   * @param row the row of the batch, the picture, or 0
   */
  public static CounterRandom at(long seed, String purpose, long step, int row) {
    return new CounterRandom(key(seed, purpose), step, row);
  }

  /** What tells the draws of a seed and purpose from all others: for those who draw on a GPU. */
  public static long key(long seed, String purpose) {
    return mix(mix(seed) ^ fnv1a(purpose));
  }

  /**
   * The draws of one place, of what a {@link #key} was made for.
   *
   * @param step the step or epoch
   * @param row the row of the batch, the picture, or 0
   */
  public static CounterRandom keyed(long key, long step, int row) {
    return new CounterRandom(key, step, row);
  }

  /**
   * The bits of blocks that follow one another, four numbers each: for those who draw for many
   * elements at once, and out of order.
   *
   * @param key {@link #key}
   * @param first number of the first block; it counts without a sign, as all here
   * @param out gets 4 numbers a block; its length says how many blocks
   */
  public static void blocks(long key, long step, int row, int first, int[] out) {
    int k0 = (int) key;
    int k1 = (int) (key >>> 32);
    for (int i = 0; i < out.length; i += 4) {
      philox(k0, k1, first + i / 4, row, (int) step, (int) (step >>> 32), out, i);
    }
  }

  /** The next 32 random bits. */
  public int nextInt() {
    if (used == block.length) {
      blocks(key, step, row, nextBlock++, block);
      used = 0;
    }
    return block[used++];
  }

  /** A number evenly drawn from 0 to bound - 1, without bias (Lemire 2019). */
  public int uniformInt(int bound) {
    if (bound <= 0) {
      throw new IllegalArgumentException("bound " + bound + " is not positive");
    }
    long product = (nextInt() & LOW) * bound;
    if ((product & LOW) < bound) {
      long threshold = (1L << 32) % bound;
      while ((product & LOW) < threshold) {
        product = (nextInt() & LOW) * bound;
      }
    }
    return (int) (product >>> 32);
  }

  /** A number evenly drawn from [0, 1), in steps of 2^-32. */
  public double uniform() {
    return (nextInt() & LOW) * 0x1p-32;
  }

  /**
   * Fills out[offset, offset + count) with draws of the standard normal distribution (Box and
   * Muller). StrictMath, so that every machine gives the same bits.
   */
  public void normal(float[] out, int offset, int count) {
    for (int i = 0; i < count; i += 2) {
      double radius = StrictMath.sqrt(-2 * StrictMath.log(uniform() + 0x1p-33));
      double angle = 2 * Math.PI * uniform();
      out[offset + i] = (float) (radius * StrictMath.cos(angle));
      if (i + 1 < count) {
        out[offset + i + 1] = (float) (radius * StrictMath.sin(angle));
      }
    }
  }

  /** A random order of 0 to count - 1 (Fisher and Yates). */
  public int[] permutation(int count) {
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      int other = uniformInt(i + 1);
      order[i] = order[other];
      order[other] = i;
    }
    return order;
  }

  static void philox(long key, int c0, int c1, int c2, int c3, int[] out) {
    philox((int) key, (int) (key >>> 32), c0, c1, c2, c3, out, 0);
  }

  private static void philox(int k0, int k1, int c0, int c1, int c2, int c3, int[] out, int at) {
    for (int round = 0; round < ROUNDS; round++) {
      long product0 = MULTIPLIER_0 * (c0 & LOW);
      long product1 = MULTIPLIER_1 * (c2 & LOW);
      c0 = (int) (product1 >>> 32) ^ c1 ^ k0;
      c1 = (int) product1;
      c2 = (int) (product0 >>> 32) ^ c3 ^ k1;
      c3 = (int) product0;
      k0 += WEYL_0;
      k1 += WEYL_1;
    }
    out[at] = c0;
    out[at + 1] = c1;
    out[at + 2] = c2;
    out[at + 3] = c3;
  }

  /** SplitMix64's finaliser: every bit of the argument reaches every bit of the result. */
  private static long mix(long z) {
    z += 0x9E3779B97F4A7C15L;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  private static long fnv1a(String text) {
    long hash = 0xCBF29CE484222325L;
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xFF)) * 0x100000001B3L;
    }
    return hash;
  }
}
