package dreambooth4j.engine;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.stream.LongStream;

/**
 * Moments in 8 bits (Dettmers et al. 2022). Each block of 256 elements of the flat buffers has a
 * scale, its largest magnitude, and each element the {@link DynamicCode} of its share of that.
 *
 * <p>The mean and the variance of all elements [n] are U8 codes, their scales F32 [n / 256]. A
 * block belongs to one parameter. An update decodes a block, applies AdamW's rule in F32, and
 * encodes it again; blocks know nothing of each other, so threads may take them in any order.
 */
final class QuantizedMoments implements Moments {
  /** Elements of a block. */
  static final int BLOCK = 256;

  /** Elements that a thread decodes at once: many blocks, and few enough to stay in its cache. */
  private static final int CHUNK = 16 * BLOCK;

  /** Parts that the work is cut into: some for each thread, so that none waits long for another. */
  private static final int PARTS = 4 * Runtime.getRuntime().availableProcessors();

  /** Most elements of a part: its bytes can be seen through one window each. */
  private static final long MOST = 1 << 28;

  private final Tensor mean;
  private final Tensor meanScale;
  private final Tensor variance;
  private final Tensor varianceScale;

  QuantizedMoments(Arena arena, Parameters group) {
    long n = group.flatCount();
    mean = arena.allocate("adam mean", DType.U8, n);
    mean.fill_(DynamicCode.SIGNED.encode(0) & 0xff);
    variance = arena.zeros("adam variance", DType.U8, n);
    meanScale = arena.zeros("adam mean scale", DType.F32, n / BLOCK);
    varianceScale = arena.zeros("adam variance scale", DType.F32, n / BLOCK);
  }

  @Override
  public void update(Update update, Parameters.Span span, Tensor masters, Tensor gradients) {
    Rule rule = new Rule(update);
    long chunks = (span.length() + CHUNK - 1) / CHUNK;
    long parts = Math.min(chunks, Math.max(PARTS, (span.length() + MOST - 1) / MOST));
    LongStream.range(0, parts)
        .parallel()
        .forEach(
            i -> {
              long from = chunks * i / parts * CHUNK;
              long to = Math.min(span.length(), chunks * (i + 1) / parts * CHUNK);
              new Part(masters, gradients, from, span.from() + from, (int) (to - from))
                  .update(rule);
            });
  }

  @Override
  public Map<String, Tensor> tensors() {
    return Map.of(
        "mean", mean,
        "mean_scale", meanScale,
        "variance", variance,
        "variance_scale", varianceScale);
  }

  /** AdamW's rule with the constants of a step, as torch.optim.AdamW orders it. */
  private record Rule(
      float clip,
      float beta1,
      float rest1,
      float beta2,
      float rest2,
      float left,
      float stepSize,
      float rootFactor,
      float epsilon) {
    Rule(Update update) {
      this(update, update.settings(), (double) update.number());
    }

    private Rule(Update update, AdamW.Settings s, double number) {
      this(
          (float) update.clip(),
          (float) s.beta1(),
          (float) (1 - s.beta1()), // in float it would be 0 for a beta close to 1
          (float) s.beta2(),
          (float) (1 - s.beta2()),
          (float) (1 - update.learningRate() * s.weightDecay()),
          (float) (update.learningRate() / (1 - Math.pow(s.beta1(), number))),
          (float) (1 / Math.sqrt(1 - Math.pow(s.beta2(), number))),
          (float) s.epsilon());
    }

    /** Updates n weights w by gradients g with moments m and v. */
    void apply(float[] w, float[] g, float[] m, float[] v, int n) {
      for (int i = 0; i < n; i++) {
        float gradient = g[i] * clip;
        float first = beta1 * m[i] + rest1 * gradient;
        float second = beta2 * v[i] + rest2 * gradient * gradient;
        float root = (float) Math.sqrt(second) * rootFactor + epsilon;
        w[i] = w[i] * left - stepSize * first / root;
        m[i] = first;
        v[i] = second;
      }
    }
  }

  /** A number of whole blocks, as one thread works through them, chunk by chunk. */
  private final class Part {
    private final int size;
    private final FloatBuffer weights;
    private final FloatBuffer gradients;
    private final Coded first;
    private final Coded second;

    Part(Tensor weights, Tensor gradients, long at, long from, int size) {
      this.size = size;
      this.weights = floats(weights, at, size);
      this.gradients = floats(gradients, at, size);
      first = new Coded(DynamicCode.SIGNED, mean, meanScale, from, size);
      second = new Coded(DynamicCode.UNSIGNED, variance, varianceScale, from, size);
    }

    void update(Rule rule) {
      float[] w = new float[CHUNK];
      float[] g = new float[CHUNK];
      float[] m = new float[CHUNK];
      float[] v = new float[CHUNK];
      for (int at = 0; at < size; at += CHUNK) {
        int n = Math.min(CHUNK, size - at);
        weights.get(at, w, 0, n);
        gradients.get(at, g, 0, n);
        first.decode(at, m, n);
        second.decode(at, v, n);
        rule.apply(w, g, m, v, n);
        first.encode(at, m, n);
        second.encode(at, v, n);
        weights.put(at, w, 0, n);
      }
    }
  }

  /** One moment of a part. */
  private static final class Coded {
    private final DynamicCode code;
    private final ByteBuffer all;
    private final FloatBuffer allScales;
    private final byte[] codes = new byte[CHUNK];

    Coded(DynamicCode code, Tensor codes, Tensor scales, long from, int size) {
      this.code = code;
      all = codes.bytes(from, size);
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
