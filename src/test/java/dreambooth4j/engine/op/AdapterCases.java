package dreambooth4j.engine.op;

import dreambooth4j.engine.DType;
import dreambooth4j.random.CounterRandom;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** Op cases of what adapters (LoRA, LoHa, LoKr, DoRA) compute. */
final class AdapterCases {
  private AdapterCases() {}

  static List<OpCase> all() {
    return List.of(
        addLinear(new long[] {2, 5, 7}, new long[] {2, 5, 3}),
        addLinear(new long[] {2, 3, 5, 4}, new long[] {2, 3, 5, 1}),
        magnitude(),
        dropout(0.3, false),
        dropout(0.3, true),
        addProduct(new long[] {2, 5, 7}, new long[] {9, 7}, 1, 0),
        addProduct(new long[] {2, 3, 5, 4}, new long[] {9, 1, 1, 4}, 1, 0),
        addProduct(new long[] {2, 5, 7, 3}, new long[] {6, 3, 3, 3}, 1, 1),
        addProduct(new long[] {1, 7, 4, 3}, new long[] {5, 3, 3, 3}, 2, 1),
        lohaWeight(7, 2, 5),
        lohaWeight(6, 3, 3, 3, 5),
        lokrWeight(new long[] {2, 3}, new long[] {3, 5}, 6, 15),
        lokrWeight(new long[] {2, 3}, new long[] {3, 5, 3, 3}, 6, 3, 3, 15),
        lokrWeight(new long[] {2, 3}, new long[] {3, 2}, 6, 15),
        lokrWeight(new long[] {1, 3}, new long[] {5, 1}, 5, 3, 3, 6));
  }

  /** What an adapter adds to a linear layer's result, which it is written into. */
  private static OpCase addLinear(long[] x, long[] low) {
    long in = x[x.length - 1];
    long rank = low[low.length - 1];
    return OpCase.of(
            AddLinear.class,
            "to a layer of x " + Arrays.toString(x) + ", rank " + rank,
            (t, given, p) ->
                AddLinear.apply(
                    t, Linear.apply(t, given.get(0), p.get(0), null), given.get(1), p.get(1), 0.7),
            given ->
                torch
                    .linear(given.get(0), given.get(2))
                    .add(torch.linear(given.get(1), given.get(3)).mul(new Scalar(0.7))),
            x,
            low)
        .with(new long[] {9, in}, new long[] {9, rank});
  }

  /** What a computed weight adds to a layer's result, which it is written into. */
  private static OpCase addProduct(long[] x, long[] weight, int stride, int padding) {
    long[] layer = weight.length == 2 ? weight : fileShape(weight);
    boolean spatial = weight.length == 4 && weight[1] > 1;
    return OpCase.of(
            AddProduct.class,
            "x %s weight %s stride %d"
                .formatted(Arrays.toString(x), Arrays.toString(weight), stride),
            (t, given, p) ->
                new AddProduct(stride, padding, 0.7)
                    .apply(
                        t,
                        spatial
                            ? Conv2d.apply(t, given.get(0), p.get(0), null, stride, padding)
                            : Linear.apply(t, given.get(0), p.get(0), null),
                        given.get(0),
                        given.get(1)),
            given ->
                plain(given.get(0), given.get(2), stride, padding)
                    .add(plain(given.get(0), given.get(1), stride, padding).mul(new Scalar(0.7))),
            x,
            weight)
        .with(layer);
  }

  private static long[] fileShape(long... inMemory) {
    return new long[] {inMemory[0], inMemory[3], inMemory[1], inMemory[2]};
  }

  /** A linear layer or a convolution by libtorch, of a weight as it lies in memory. */
  private static Tensor plain(Tensor x, Tensor weight, int stride, int padding) {
    if (weight.dim() == 2 || weight.size(1) == 1) {
      return torch.linear(x, weight.view(weight.size(0), -1));
    }
    return torch
        .convolution(
            x.permute(0, 3, 1, 2),
            weight.permute(0, 3, 1, 2),
            new TensorOptional(),
            new long[] {stride, stride},
            new long[] {padding, padding},
            new long[] {1, 1},
            false,
            new long[] {0, 0},
            1)
        .permute(0, 2, 3, 1);
  }

  /** LoHa's change of a weight that lies so in memory. */
  private static OpCase lohaWeight(long out, long rank, long... others) {
    long[] shape = prepended(out, others);
    long inputs = dreambooth4j.engine.Tensor.count(others);
    return OpCase.of(
            LohaWeight.class,
            "rank %d of %s".formatted(rank, Arrays.toString(shape)),
            (t, given, p) -> LohaWeight.apply(t, p, shape),
            p -> inMemory(p.get(0).mm(p.get(1)).mul(p.get(2).mm(p.get(3))), shape))
        .with(
            new long[] {out, rank},
            new long[] {rank, inputs},
            new long[] {out, rank},
            new long[] {rank, inputs});
  }

  private static long[] prepended(long first, long... others) {
    long[] all = new long[others.length + 1];
    all[0] = first;
    System.arraycopy(others, 0, all, 1, others.length);
    return all;
  }

  /** The matrix of a file as a weight of this shape lies in memory. */
  private static Tensor inMemory(Tensor matrix, long... shape) {
    return shape.length == 2
        ? matrix
        : matrix.reshape(shape[0], shape[3], shape[1], shape[2]).permute(0, 2, 3, 1).contiguous();
  }

  /**
   * LoKr's change of a weight that lies so in memory.
   *
   * @param small whole, as files hold it, where its axes are those of the change; else the first of
   *     two factors
   */
  private static OpCase lokrWeight(long[] matrix, long[] small, long... shape) {
    long rows = shape[0] / matrix[0];
    long columns = shape[shape.length - 1] / matrix[1];
    long[] whole =
        shape.length == 2
            ? new long[] {rows, columns}
            : new long[] {rows, shape[1], shape[2], columns};
    boolean product = small.length == 2 && small[1] != columns;
    OpCase made =
        OpCase.of(
            LokrWeight.class,
            "%s and %s of %s"
                .formatted(Arrays.toString(matrix), Arrays.toString(small), Arrays.toString(shape)),
            (t, given, p) -> LokrWeight.apply(t, p.get(0), p.subList(1, p.size()), shape),
            p -> {
              Tensor left = p.get(0);
              return torch.kron(
                  shape.length == 2 ? left : left.reshape(matrix[0], 1, 1, matrix[1]),
                  product ? inMemory(p.get(1).mm(p.get(2)), whole) : p.get(1));
            });
    return product
        ? made.with(
            matrix, small, new long[] {small[1], dreambooth4j.engine.Tensor.count(whole) / rows})
        : made.with(matrix, small);
  }

  /** Elements dropped by the draws of rows 5 and 2 of step 7. */
  private static OpCase dropout(double share, boolean rest) {
    int[] rows = {5, 2};
    int each = 2 * 3 * 7;
    float[] kept = new float[rows.length * each];
    float[] dropped = new float[rows.length * each];
    for (int row = 0; row < rows.length; row++) {
      CounterRandom random = CounterRandom.at(3, "layer", 7, rows[row]);
      for (int i = 0; i < each; i++) {
        boolean drops = random.uniform() < share;
        kept[row * each + i] = drops ? 0 : 1;
        dropped[row * each + i] = drops && rest ? 1 : 0;
      }
    }
    return OpCase.of(
        Dropout.class,
        "[4,3,7] of two rows" + (rest ? ", the rest" : ""),
        (t, x, p) -> {
          dreambooth4j.engine.Tensor index = t.arena().allocate("row index", DType.I32, 2);
          index.copyFrom(rows);
          NoiseDraws draws =
              new NoiseDraws(3, index, t.arena().longs("step", new long[] {7}, 1), Map.of());
          return rest
              ? Dropout.rest(t, x.get(0), draws, "layer", share)
              : Dropout.apply(t, x.get(0), draws, "layer", share);
        },
        x -> {
          Tensor in = x.get(0);
          Tensor whole = in.mul(torch.tensor(kept).view(4, 3, 7).to(in.scalar_type()));
          return whole
              .mul(new Scalar(rest ? -share / (1 - share) : 1 / (1 - share)))
              .add(in.mul(torch.tensor(dropped).view(4, 3, 7).to(in.scalar_type())));
        },
        new long[] {4, 3, 7});
  }

  /** DoRA's rows brought to their lengths, of norms that no gradient passes. */
  private static OpCase magnitude() {
    float[] norms = {0.5f, 2, 1.25f};
    return OpCase.of(
            Magnitude.class,
            "v [2,5,3]",
            (t, given, p) ->
                Magnitude.apply(
                    t, given.get(0), t.arena().floats("norms", norms, 3), p.get(0), null),
            given ->
                given
                    .get(0)
                    .mul(given.get(1).div(torch.tensor(norms).to(given.get(1).scalar_type()))),
            new long[] {2, 5, 3})
        .with(new long[] {3});
  }
}
