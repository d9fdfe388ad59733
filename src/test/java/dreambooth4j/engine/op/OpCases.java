package dreambooth4j.engine.op;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Var;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/** All op cases. A new op needs one here, odd sizes included, or the build fails. */
public final class OpCases {
  private OpCases() {}

  static List<OpCase> all() {
    return Stream.of(ofModels(), LossCases.all(), AdapterCases.all())
        .flatMap(List::stream)
        .toList();
  }

  private static List<OpCase> ofModels() {
    return List.of(
        conv(1, 5, 7, 3, 4, 3, 1, 1),
        conv(2, 9, 6, 5, 7, 3, 2, 1),
        conv(3, 4, 5, 2, 3, 1, 1, 0),
        conv(1, 23, 25, 3, 4, 3, 1, 1), // more pixels than a matrix product is taken for
        conv(2, 33, 35, 3, 2, 3, 2, 1),
        conv(3, 29, 27, 65, 71, 3, 1, 1), // by Winograd: blocks of two images and of one
        conv(2, 15, 16, 321, 322, 3, 1, 1), // few tiles of many channels
        conv(1, 69, 51, 64, 66, 3, 1, 1), // and of some rows of an image, the last one odd
        conv(2, 8, 8, 90, 91, 3, 1, 1), // few pixels, many weights
        conv(1, 8, 8, 1, 1, 3, 2, 0),
        linear("x [2,5,7] w [3,7]", new long[] {2, 5, 7}, new long[] {3, 7}),
        linear("x [2,3,5,4] w [9,4,1,1]", new long[] {2, 3, 5, 4}, new long[] {9, 4, 1, 1}),
        linear("few rows, w [257,259]", new long[] {2, 20, 259}, new long[] {257, 259}),
        linear("rows, w [257,259]", new long[] {2, 40, 259}, new long[] {257, 259}),
        linear("x [1,1] w [1,1]", new long[] {1, 1}, new long[] {1, 1}),
        groupNorm(2, 3, 5, 6, 2, false),
        groupNorm(1, 7, 3, 8, 8, true),
        groupNorm(3, 1, 1, 12, 3, true),
        groupNorm(2, 13, 11, 20, 4, true),
        groupNorm(2, 33, 32, 6, 2, true),
        groupNorm(1, 5, 7, 16, 2, false),
        groupNorm(2, 3, 5, 51, 3, true),
        groupNormAndInput(2, 3, 5, 6, 2),
        layerNorm(2, 7, 5),
        layerNorm(1, 13, 97),
        attention(2, 5, 7, 3, 5, false),
        attention(1, 13, 13, 2, 40, true),
        attention(2, 97, 77, 4, 6, false),
        attention(1, 1, 1, 1, 1, false),
        projectedAttention(2, 6, 0, 6, 2, true, false),
        projectedAttention(2, 3, 4, 6, 3, false, false),
        projectedAttention(2, 4, 0, 64, 8, true, true),
        projectedAttention(1, 3, 4, 64, 16, false, true),
        projectedAttention(2, 3, 5, 6, 2, false, true),
        silu(3, 5),
        OpCase.of(
            Gelu.class,
            "[97]",
            (t, x, p) -> Gelu.apply(t, x.get(0)),
            x -> torch.gelu(x.get(0)),
            new long[] {97}),
        OpCase.of(
            QuickGelu.class,
            "[2,13]",
            (t, x, p) -> QuickGelu.apply(t, x.get(0)),
            x -> x.get(0).mul(x.get(0).mul(new Scalar(1.702)).sigmoid()),
            new long[] {2, 13}),
        geglu(2, 3, 5),
        OpCase.of(
            Swiglu.class,
            "[2,3,14]",
            (t, x, p) -> Swiglu.apply(t, x.get(0)),
            x -> torch.silu(x.get(0).narrow(-1, 0, 7)).mul(x.get(0).narrow(-1, 7, 7)),
            new long[] {2, 3, 14}),
        OpCase.of(
                ScaleChannels.class,
                "[2,7,5]",
                (t, x, p) -> ScaleChannels.apply(t, x.get(0), p.get(0)),
                x -> x.get(0).mul(x.get(1)),
                new long[] {2, 7, 5})
            .with(new long[] {5}),
        add(2, 3),
        OpCase.of(
            Add.class,
            "x + x, a value used twice",
            (t, x, p) -> Add.apply(t, Add.apply(t, x.get(0), x.get(0)), x.get(0)),
            x -> x.get(0).mul(new Scalar(3)),
            new long[] {2, 3}),
        addPerSample(2, 3, 5, 4),
        addPerSampleBiased(2, 3, 5, 4),
        addBiased(2, 3, 5, 4),
        residualNorm(2, 7, 5),
        concat(2, 3, 5, 1),
        upsample(2, 5, 7, 10, 14, 3),
        upsample(2, 3, 4, 5, 8, 3),
        upsample(2, 1, 1, 3, 2, 3),
        bicubic(2, 5, 7, 8, 6, 3),
        bicubic(1, 4, 4, 3, 5, 2),
        OpCase.of(
            PadEnd.class,
            "[2,3,5,4]",
            (t, x, p) -> PadEnd.apply(t, x.get(0)),
            x -> torch.constant_pad_nd(x.get(0), new long[] {0, 0, 0, 1, 0, 1}),
            new long[] {2, 3, 5, 4}),
        OpCase.of(
            Reshape.class,
            "[2,3,5] as [6,5]",
            (t, x, p) -> Reshape.apply(t, x.get(0), 6, 5),
            x -> x.get(0).view(6, 5),
            new long[] {2, 3, 5}),
        indexSelect(),
        convert(),
        embedding());
  }

  static OpCase silu(long... shape) {
    return OpCase.of(
        Silu.class,
        Arrays.toString(shape),
        (t, x, p) -> Silu.apply(t, x.get(0)),
        x -> torch.silu(x.get(0)),
        shape);
  }

  static OpCase concat(long b, long n, long first, long second) {
    return OpCase.of(
        Concat.class,
        "[%d,%d,%d] [%d,%d,%d]".formatted(b, n, first, b, n, second),
        (t, x, p) -> Concat.apply(t, x.get(0), x.get(1)),
        x -> torch.cat(new TensorVector(x.get(0), x.get(1)), -1),
        new long[] {b, n, first},
        new long[] {b, n, second});
  }

  static OpCase conv(int b, int h, int w, int in, int out, int kernel, int stride, int padding) {
    return OpCase.of(
            Conv2d.class,
            "b=%d h=%d w=%d in=%d out=%d kernel=%d stride=%d padding=%d"
                .formatted(b, h, w, in, out, kernel, stride, padding),
            (t, x, p) -> Conv2d.apply(t, x.get(0), p.get(0), p.get(1), stride, padding),
            x ->
                torch
                    .convolution(
                        x.get(0).permute(0, 3, 1, 2),
                        x.get(1).permute(0, 3, 1, 2),
                        new TensorOptional(x.get(2)),
                        new long[] {stride, stride},
                        new long[] {padding, padding},
                        new long[] {1, 1},
                        false,
                        new long[] {0, 0},
                        1)
                    .permute(0, 2, 3, 1),
            new long[] {b, h, w, in})
        .with(new long[] {out, in, kernel, kernel}, new long[] {out})
        .costing(2.0 * b * in * out * kernel * kernel * h * w / (stride * stride));
  }

  static OpCase linear(String vars, long[] x, long[] w) {
    return OpCase.of(
            Linear.class,
            vars,
            (t, in, p) -> Linear.apply(t, in.get(0), p.get(0), p.get(1)),
            in ->
                torch.linear(
                    in.get(0), in.get(1).reshape(w[0], w[1]), new TensorOptional(in.get(2))),
            x)
        .with(w, new long[] {w[0]})
        .costing(2.0 * Arrays.stream(x).reduce(1, Math::multiplyExact) * w[0]);
  }

  /** Channels-last pictures. */
  public static OpCase groupNorm(int b, int h, int w, int c, int groups, boolean silu) {
    return OpCase.of(
            GroupNorm.class,
            "b=%d h=%d w=%d c=%d groups=%d silu=%s".formatted(b, h, w, c, groups, silu),
            (t, x, p) -> GroupNorm.apply(t, x.get(0), p.get(0), p.get(1), groups, 1e-5, silu),
            x -> {
              Tensor y =
                  torch
                      .group_norm(
                          x.get(0).permute(0, 3, 1, 2),
                          groups,
                          new TensorOptional(x.get(1)),
                          new TensorOptional(x.get(2)),
                          1e-5,
                          false)
                      .permute(0, 2, 3, 1);
              return silu ? torch.silu(y) : y;
            },
            new long[] {b, h, w, c})
        .with(new long[] {c}, new long[] {c});
  }

  /** Of a picture that goes on beside its norm, so that it has gradients from both. */
  public static OpCase groupNormAndInput(int b, int h, int w, int c, int groups) {
    OpCase norm = groupNorm(b, h, w, c, groups, true);
    return OpCase.of(
            GroupNorm.class,
            norm.vars() + ", and x itself",
            (t, x, p) -> Add.apply(t, norm.ours().apply(t, x, p), x.get(0)),
            x -> norm.reference().apply(x).add(x.get(0)),
            new long[] {b, h, w, c})
        .with(new long[] {c}, new long[] {c});
  }

  /** Rows of tokens. */
  public static OpCase layerNorm(int b, int n, int c) {
    return OpCase.of(
            LayerNorm.class,
            "b=%d n=%d c=%d".formatted(b, n, c),
            (t, x, p) -> LayerNorm.apply(t, x.get(0), p.get(0), p.get(1), 1e-5),
            x ->
                torch.layer_norm(
                    x.get(0),
                    new long[] {c},
                    new TensorOptional(x.get(1)),
                    new TensorOptional(x.get(2)),
                    1e-5,
                    false),
            new long[] {b, n, c})
        .with(new long[] {c}, new long[] {c});
  }

  /** The reference is the plain composition: two products and {@link #probabilities}. */
  static OpCase attention(int b, int n, int m, int heads, int d, boolean causal) {
    return OpCase.of(
            Attention.class,
            "b=%d n=%d m=%d heads=%d d=%d causal=%s".formatted(b, n, m, heads, d, causal),
            (t, x, p) -> Attention.apply(t, x.get(0), x.get(1), x.get(2), heads, causal),
            x -> attended(x.get(0), x.get(1), x.get(2), heads, causal),
            new long[] {b, n, (long) heads * d},
            new long[] {b, m, (long) heads * d},
            new long[] {b, m, (long) heads * d})
        .costing(4.0 * b * n * m * heads * d);
  }

  private static Tensor attended(Tensor q, Tensor k, Tensor v, int heads, boolean causal) {
    long d = q.size(2) / heads;
    Tensor scores =
        split(q, heads)
            .matmul(split(k, heads).transpose(-1, -2))
            .mul(new Scalar(1 / Math.sqrt((double) d)));
    if (causal) {
      scores =
          scores.masked_fill(
              torch.ones(q.size(1), k.size(1)).tril().eq(new Scalar(0)),
              new Scalar(Double.NEGATIVE_INFINITY));
    }
    return probabilities(scores)
        .matmul(split(v, heads))
        .transpose(1, 2)
        .reshape(q.size(0), q.size(1), q.size(2));
  }

  /**
   * The softmax, in F32 and F64 as flash attention's backward has it: computed anew from the
   * logarithm of each row's sum, which is rounded once for the whole row. Over 40 draws of b=2 n=97
   * m=77 heads=4 d=6 that rounding alone makes the error of q's gradient 1.5 to 1.7 times that of
   * {@code softmax}, of 1.7 to 2.05 times in all. In 16 bits flash attention keeps it in F32.
   */
  private static Tensor probabilities(Tensor scores) {
    return scores.element_size() < Float.BYTES
        ? torch.softmax(scores, -1)
        : scores.sub(scores.logsumexp(new long[] {-1}, true)).exp();
  }

  private static Tensor split(Tensor tokens, int heads) {
    return tokens
        .view(tokens.size(0), tokens.size(1), heads, tokens.size(2) / heads)
        .transpose(1, 2);
  }

  /**
   * Of tokens [b, 5, c] to themselves, or to a context [b, 7, contextC] if that is not 0. Slices
   * are whole where a weight has a multiple of 256 elements.
   */
  static OpCase projectedAttention(
      int b, int c, int contextC, int width, int heads, boolean causal, boolean packed) {
    boolean self = contextC == 0;
    long read = self ? c : contextC;
    long[][] inputs = self ? new long[][] {{b, 5, c}} : new long[][] {{b, 5, c}, {b, 7, read}};
    return OpCase.of(
            ProjectedAttention.class,
            "b=%d c=%d context=%d width=%d heads=%d causal=%s packed=%s"
                .formatted(b, c, contextC, width, heads, causal, packed),
            (t, x, p) -> {
              Var context = x.get(x.size() - 1);
              return packed
                  ? ProjectedAttention.packed(t, x.get(0), context, p, heads, causal)
                  : ProjectedAttention.apply(t, x.get(0), context, p, heads, causal);
            },
            x -> {
              int at = self ? 1 : 2;
              Tensor context = x.get(at - 1);
              return attended(
                  torch.linear(x.get(0), x.get(at)),
                  torch.linear(context, x.get(at + 1)),
                  torch.linear(context, x.get(at + 2)),
                  heads,
                  causal);
            },
            inputs)
        .with(new long[] {width, c}, new long[] {width, read}, new long[] {width, read});
  }

  /** Two values of one shape. */
  public static OpCase add(int n, int c) {
    return OpCase.of(
        Add.class,
        "[%d,%d]".formatted(n, c),
        (t, x, p) -> Add.apply(t, x.get(0), x.get(1)),
        x -> x.get(0).add(x.get(1)),
        new long[] {n, c},
        new long[] {n, c});
  }

  /** Pictures and a vector for each. */
  public static OpCase addPerSample(int b, int h, int w, int c) {
    return OpCase.of(
        AddPerSample.class,
        "[%d,%d,%d,%d] + [%d,%d]".formatted(b, h, w, c, b, c),
        (t, x, p) -> AddPerSample.apply(t, x.get(0), x.get(1)),
        x -> x.get(0).add(x.get(1).view(b, 1, 1, c)),
        new long[] {b, h, w, c},
        new long[] {b, c});
  }

  /** The same, and two biases. */
  public static OpCase addPerSampleBiased(int b, int h, int w, int c) {
    OpCase plain = addPerSample(b, h, w, c);
    return OpCase.of(
            AddPerSample.class,
            plain.vars() + " + two biases",
            (t, x, p) -> AddPerSample.apply(t, x.get(0), x.get(1), p),
            x -> plain.reference().apply(x).add(x.get(2)).add(x.get(3)),
            new long[] {b, h, w, c},
            new long[] {b, c})
        .with(new long[] {c}, new long[] {c});
  }

  /** Two pictures and two biases. */
  public static OpCase addBiased(int b, int h, int w, int c) {
    return OpCase.of(
            Add.class,
            "[%d,%d,%d,%d] + two biases".formatted(b, h, w, c),
            (t, x, p) -> Add.apply(t, x.get(0), x.get(1), p),
            x -> x.get(0).add(x.get(1)).add(x.get(2)).add(x.get(3)),
            new long[] {b, h, w, c},
            new long[] {b, h, w, c})
        .with(new long[] {c}, new long[] {c});
  }

  /** A sum that is normalised and goes on beside it, as in a transformer block. */
  public static OpCase residualNorm(int b, int n, int c) {
    return OpCase.of(
            LayerNorm.class,
            "of a + b, and a + b, b=%d n=%d c=%d".formatted(b, n, c),
            (t, x, p) -> {
              Var sum = Add.apply(t, x.get(0), x.get(1));
              return Add.apply(t, LayerNorm.apply(t, sum, p.get(0), p.get(1), 1e-5), sum);
            },
            x -> {
              Tensor sum = x.get(0).add(x.get(1));
              return torch
                  .layer_norm(
                      sum,
                      new long[] {c},
                      new TensorOptional(x.get(2)),
                      new TensorOptional(x.get(3)),
                      1e-5,
                      false)
                  .add(sum);
            },
            new long[] {b, n, c},
            new long[] {b, n, c})
        .with(new long[] {c}, new long[] {c});
  }

  /** Value and gate of one width. */
  public static OpCase geglu(int b, int n, int width) {
    return OpCase.of(
        Geglu.class,
        "[%d,%d,%d]".formatted(b, n, 2 * width),
        (t, x, p) -> Geglu.apply(t, x.get(0)),
        x -> x.get(0).narrow(-1, 0, width).mul(torch.gelu(x.get(0).narrow(-1, width, width))),
        new long[] {b, n, 2L * width});
  }

  static OpCase upsample(int b, int h, int w, int height, int width, int c) {
    return OpCase.of(
        UpsampleNearest.class,
        "b=%d %d×%d to %d×%d c=%d".formatted(b, h, w, height, width, c),
        (t, x, p) -> UpsampleNearest.apply(t, x.get(0), height, width),
        x ->
            torch
                .upsample_nearest2d(x.get(0).permute(0, 3, 1, 2), new long[] {height, width})
                .permute(0, 2, 3, 1),
        new long[] {b, h, w, c});
  }

  private static OpCase bicubic(int b, int h, int w, int height, int width, int c) {
    return OpCase.of(
        UpsampleBicubic.class,
        "b=%d %d×%d to %d×%d c=%d".formatted(b, h, w, height, width, c),
        (t, x, p) -> UpsampleBicubic.apply(t, x.get(0), height, width),
        x ->
            torch
                .upsample_bicubic2d(x.get(0).permute(0, 3, 1, 2), new long[] {height, width}, false)
                .permute(0, 2, 3, 1),
        new long[] {b, h, w, c});
  }

  private static OpCase indexSelect() {
    long[] places = {3, 0, 4, 3};
    return OpCase.of(
        IndexSelect.class,
        "[2,5,7] at 3, 0, 4, 3",
        (t, x, p) -> IndexSelect.apply(t, x.get(0), t.arena().longs("places", places, 4)),
        x -> x.get(0).index_select(1, torch.tensor(places)),
        new long[] {2, 5, 7});
  }

  private static OpCase embedding() {
    long[] ids = {4, 0, 2, 2, 4, 1};
    return OpCase.of(
            Embedding.class,
            "ids [2,3] table [5,7], rows used twice",
            (t, x, p) -> {
              dreambooth4j.engine.Tensor rows = t.arena().longs("ids", ids, 2, 3);
              return Embedding.apply(t, rows, p.get(0));
            },
            x -> x.get(0).index_select(0, torch.tensor(ids)).view(2, 3, 7))
        .with(new long[] {5, 7});
  }

  private static OpCase convert() {
    return OpCase.of(
        Convert.class,
        "[3,2,5] there and back",
        (t, x, p) ->
            Convert.apply(t, Convert.apply(t, x.get(0), DType.F64), x.get(0).value().dtype()),
        x -> x.get(0).mul(new Scalar(1)),
        new long[] {3, 2, 5});
  }
}
