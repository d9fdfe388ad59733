package dreambooth4j.engine;

import dreambooth4j.random.CounterRandom;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.stream.LongStream;

/**
 * Rounds F32 numbers to BF16 up or down at random, up with the probability of what is cut off: so
 * that changes too small for the type add up on average where no F32 master keeps them.
 *
 * <p>Element i of a flat buffer adds 16 bits of Philox to its own bits before the low half is cut
 * off: half-word i mod 8, the low half of a word first, of block i / 8 at (key, step, row) of
 * {@link CounterRandom}. So what is drawn depends on neither the parts that a buffer is updated in
 * nor the device: the kernels of {@code optimizer.cuh} draw the same. Numbers that are not finite
 * are cut.
 *
 * @param key {@link CounterRandom#key}
 * @param row tells the buffers of one step apart
 */
public record Rounding(long key, int row) {
  /** Elements that share a block of random bits. */
  private static final int BLOCK = 8;

  /** Elements that a thread has in its cache at once. */
  private static final int CHUNK = 1 << 13;

  private static final int EXPONENT = 0x7F800000;

  /**
   * Rounds.
   *
   * @param wide F32 [n]
   * @param to BF16 [n]
   * @param from which element of the flat buffer the first is: a multiple of 8
   * @param step the step's number
   */
  void round(Tensor wide, Tensor to, long from, long step) {
    int count = Math.toIntExact(wide.count());
    FloatBuffer in = wide.bytes(0, count * Float.BYTES).asFloatBuffer();
    ShortBuffer out = to.bytes(0, count * Short.BYTES).asShortBuffer();
    LongStream.range(0, (count + CHUNK - 1) / CHUNK)
        .parallel()
        .forEach(
            i -> {
              int at = (int) (i * CHUNK);
              round(in, out, at, Math.min(CHUNK, count - at), from + at, step);
            });
  }

  private void round(FloatBuffer in, ShortBuffer out, int at, int count, long from, long step) {
    float[] wide = new float[count];
    short[] rounded = new short[count];
    int[] random = new int[(count + BLOCK - 1) / BLOCK * 4];
    in.get(at, wide);
    CounterRandom.blocks(key, step, row, (int) (from / BLOCK), random);
    for (int i = 0; i < count; i++) {
      int bits = Float.floatToRawIntBits(wide[i]);
      int drawn = random[i >> 1] >>> ((i & 1) << 4) & 0xFFFF;
      boolean finite = (bits & EXPONENT) != EXPONENT;
      rounded[i] = (short) ((finite ? bits + drawn : bits) >>> 16);
    }
    out.put(at, rounded);
  }
}
