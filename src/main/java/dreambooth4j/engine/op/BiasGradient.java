package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.ColumnSums;
import dreambooth4j.engine.kernel.ColumnSums.Slice;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The gradient of a bias that was added to every row: the sum of dy over its rows. By a kernel of
 * ours straight into its slice, or by libtorch.
 */
final class BiasGradient {
  private BiasGradient() {}

  /** Adds the sum of dy [.., O] to the gradient of a bias [O]; does nothing for null. */
  static void accumulate(Arena arena, @Nullable Parameter bias, Tensor dy) {
    if (bias != null) {
      accumulate(arena, List.of(bias), dy);
    }
  }

  /** The same of biases that were added to the same rows, those of them that train. */
  static void accumulate(Arena arena, List<Parameter> biases, Tensor dy) {
    List<Parameter> trained = trained(biases);
    if (trained.isEmpty()) {
      return;
    }
    ColumnSums kernel = kernel(arena, trained, dy, 1);
    if (kernel == null) {
      plain(trained, dy);
    } else {
      slices(trained, List.of(), slices -> kernel.sum(arena, dy, 1, null, slices));
    }
  }

  /**
   * The same where a vector was added to each sample too.
   *
   * @return the vectors' gradient, sums of dy [B, .., O] over each sample [B, O]; the caller's
   */
  static Tensor accumulatePerSample(Arena arena, List<Parameter> biases, Tensor dy) {
    List<Parameter> trained = trained(biases);
    ColumnSums kernel = kernel(arena, trained, dy, dy.size(0));
    if (kernel == null) {
      plain(trained, dy);
      return arena.compute("add_per_sample.dvector", () -> dy.handle().sum(new long[] {1, 2}));
    }
    Tensor dvector = arena.allocate("add_per_sample.dvector", dy.dtype(), dy.size(0), dy.size(-1));
    Slice each = new Slice(dvector, false);
    slices(trained, List.of(), slices -> kernel.sum(arena, dy, dy.size(0), each, slices));
    return dvector;
  }

  private static List<Parameter> trained(List<Parameter> biases) {
    return biases.stream().filter(Parameter::isTrainable).toList();
  }

  private static @Nullable ColumnSums kernel(
      Arena arena, List<Parameter> biases, Tensor dy, long samples) {
    boolean fits =
        biases.size() <= 2 && biases.stream().allMatch(each -> each.weight().dtype() == dy.dtype());
    return fits ? ColumnSums.in(arena, dy, samples) : null;
  }

  private static void plain(List<Parameter> biases, Tensor dy) {
    biases.forEach(
        each -> Native.run("bias gradient", () -> each.accumulate(Matrices.rows(dy).sum(0))));
  }

  /** Calls back with the slices of all gradients, within the updates of each. */
  private static void slices(List<Parameter> left, List<Slice> found, Consumer<List<Slice>> with) {
    if (left.isEmpty()) {
      with.accept(found);
      return;
    }
    left.get(0)
        .accumulateBy(
            (slice, add) ->
                slices(
                    left.subList(1, left.size()),
                    Stream.concat(found.stream(), Stream.of(new Slice(slice, add))).toList(),
                    with));
  }
}
