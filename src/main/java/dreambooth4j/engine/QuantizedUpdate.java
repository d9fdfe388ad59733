package dreambooth4j.engine;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Objects;

/**
 * A rule's update of a part of a group whose moments are held in 8 bits (Dettmers et al. 2022):
 * each block of 256 elements of the flat buffers has a scale, its largest magnitude, and each
 * element the {@link DynamicCode} of its share of that.
 *
 * <p>A block is decoded, updated in F32 and encoded again; blocks know nothing of each other, so
 * threads may take them in any order.
 *
 * @param weights F32 [n], changed in place
 * @param gradients F32 [n]
 * @param moments of the same part
 */
record QuantizedUpdate(
    UpdateRule.InF32 rule, Tensor weights, Tensor gradients, List<Moment> moments) {
  private static final int BLOCK = StateTensor.BLOCK;

  /** Elements that a thread decodes at once: many blocks, and few enough to stay in its cache. */
  private static final int CHUNK = 16 * BLOCK;

  /** Parts that the work is cut into: some for each thread, so that none waits long for another. */
  private static final int PARTS = 4 * Runtime.getRuntime().availableProcessors();

  /** Most elements of a part: its bytes can be seen through one window each. */
  private static final long MOST = 1 << 28;

  /** Updates all of it. */
  void run() {
    long length = weights.count();
    long chunks = (length + CHUNK - 1) / CHUNK;
    long parts = Math.min(chunks, Math.max(PARTS, (length + MOST - 1) / MOST));
    Threads.share(
        parts,
        i -> {
          long from = chunks * i / parts * CHUNK;
          long to = Math.min(length, chunks * (i + 1) / parts * CHUNK);
          update(from, (int) (to - from));
        });
  }

  /** A number of whole blocks, as one thread works through them, chunk by chunk. */
  private void update(long at, int size) {
    FloatBuffer allWeights = floats(weights, at, size);
    FloatBuffer allGradients = floats(gradients, at, size);
    List<Coded> coded = moments.stream().map(each -> new Coded(each, at, size)).toList();
    float[] w = new float[CHUNK];
    float[] g = new float[CHUNK];
    float[][] decoded = new float[coded.size()][CHUNK];
    for (int from = 0; from < size; from += CHUNK) {
      int n = Math.min(CHUNK, size - from);
      allWeights.get(from, w, 0, n);
      allGradients.get(from, g, 0, n);
      for (int i = 0; i < decoded.length; i++) {
        coded.get(i).decode(from, decoded[i], n);
      }
      rule.update(w, g, decoded, n);
      for (int i = 0; i < decoded.length; i++) {
        coded.get(i).encode(from, decoded[i], n);
      }
      allWeights.put(from, w, 0, n);
    }
  }

  /** One moment of a part. */
  private static final class Coded {
    private final DynamicCode code;
    private final ByteBuffer all;
    private final FloatBuffer allScales;
    private final byte[] codes = new byte[CHUNK];

    Coded(Moment moment, long from, int size) {
      code = moment.code();
      all = moment.values().bytes(from, size);
      Tensor scales = Objects.requireNonNull(moment.scales(), "moments of 8 bits have scales");
      allScales = floats(scales, from / BLOCK, size / BLOCK);
    }

    void decode(int at, float[] to, int n) {
      all.get(at, codes, 0, n);
      for (int block = 0; block < n; block += BLOCK) {
        float scale = allScales.get((at + block) / BLOCK);
        for (int i = block; i < block + BLOCK; i++) {
          to[i] = code.value(codes[i]) * scale;
        }
      }
    }

    void encode(int at, float[] x, int n) {
      for (int block = 0; block < n; block += BLOCK) {
        float most = 0;
        for (int i = block; i < block + BLOCK; i++) {
          float magnitude = Math.abs(x[i]);
          most = magnitude > most ? magnitude : most;
        }
        // What is so small that its inverse is infinite counts as nothing.
        float inverse = most < Float.MIN_NORMAL ? 0 : 1 / most;
        allScales.put((at + block) / BLOCK, inverse == 0 ? 0 : most);
        for (int i = block; i < block + BLOCK; i++) {
          codes[i] = code.encode(x[i] * inverse);
        }
      }
      all.put(at, codes, 0, n);
    }
  }

  private static FloatBuffer floats(Tensor tensor, long from, int count) {
    return tensor.bytes(from * Float.BYTES, count * Float.BYTES).asFloatBuffer();
  }
}
