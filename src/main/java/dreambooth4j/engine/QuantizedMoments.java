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

  /** What one thread takes at once: many blocks, and few enough elements to stay in its cache. */
  private static final int CHUNK = 16 * BLOCK;

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
  public void update(Update update, Parameters.Span span, Tensor weights, Tensor gradients) {
    Rule rule = new Rule(update);
    long chunks = (span.length() + CHUNK - 1) / CHUNK;
    LongStream.range(0, chunks)
        .parallel()
        .forEach(
            i -> {
              long at = i * CHUNK;
              int n = (int) Math.min(CHUNK, span.length() - at);
              new Chunk(n).update(rule, weights, gradients, at, span.from() + at);
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
  private static final class Rule {
    final float clip;
    final float beta1;
    final float beta2;
    final float left;
    final float stepSize;
    final float rootCorrection;
    final float epsilon;

    Rule(Update update) {
      AdamW.Settings s = update.settings();
      clip = (float) update.clip();
      beta1 = (float) s.beta1();
      beta2 = (float) s.beta2();
      left = (float) (1 - update.learningRate() * s.weightDecay());
      stepSize = (float) (update.learningRate() / (1 - Math.pow(s.beta1(), update.number())));
      rootCorrection = (float) Math.sqrt(1 - Math.pow(s.beta2(), update.number()));
      epsilon = (float) s.epsilon();
    }
  }

  /** Some blocks as a thread works on them. */
  private final class Chunk {
    private final float[] w;
    private final float[] g;
    private final float[] m;
    private final float[] v;
    private final byte[] codes;
    private final float[] scales;

    Chunk(int n) {
      w = new float[n];
      g = new float[n];
      m = new float[n];
      v = new float[n];
      codes = new byte[n];
      scales = new float[n / BLOCK];
    }

    void update(Rule rule, Tensor weights, Tensor gradients, long at, long from) {
      FloatBuffer weightsHere = floats(weights, at, w.length);
      weightsHere.get(0, w);
      floats(gradients, at, g.length).get(0, g);
      decode(DynamicCode.SIGNED, mean, meanScale, from, m);
      decode(DynamicCode.UNSIGNED, variance, varianceScale, from, v);
      apply(rule);
      encode(DynamicCode.SIGNED, mean, meanScale, from, m);
      encode(DynamicCode.UNSIGNED, variance, varianceScale, from, v);
      weightsHere.put(0, w);
    }

    private void apply(Rule r) {
      for (int i = 0; i < w.length; i++) {
        float gradient = g[i] * r.clip;
        float first = r.beta1 * m[i] + (1 - r.beta1) * gradient;
        float second = r.beta2 * v[i] + (1 - r.beta2) * gradient * gradient;
        float root = (float) Math.sqrt(second) / r.rootCorrection + r.epsilon;
        w[i] = w[i] * r.left - r.stepSize * first / root;
        m[i] = first;
        v[i] = second;
      }
    }

    private void decode(DynamicCode code, Tensor all, Tensor allScales, long from, float[] to) {
      all.bytes(from, codes.length).get(0, codes);
      floats(allScales, from / BLOCK, scales.length).get(0, scales);
      for (int i = 0; i < to.length; i++) {
        to[i] = code.value(codes[i]) * scales[i / BLOCK];
      }
    }

    private void encode(DynamicCode code, Tensor all, Tensor allScales, long from, float[] x) {
      for (int block = 0; block < scales.length; block++) {
        int end = (block + 1) * BLOCK;
        float most = 0;
        for (int i = block * BLOCK; i < end; i++) {
          most = Math.max(most, Math.abs(x[i]));
        }
        scales[block] = most;
        float divisor = most == 0 ? 1 : most;
        for (int i = block * BLOCK; i < end; i++) {
          codes[i] = code.encode(x[i] / divisor);
        }
      }
      all.bytes(from, codes.length).put(0, codes);
      floats(allScales, from / BLOCK, scales.length).put(0, scales);
    }
  }

  private static FloatBuffer floats(Tensor tensor, long from, int count) {
    ByteBuffer bytes = tensor.bytes(from * Float.BYTES, count * Float.BYTES);
    return bytes.asFloatBuffer();
  }
}
