package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Sums of the columns of [N, .., C] over all axes between, {@code column_sums.cu}: gradients of
 * biases, and of vectors that were added to every pixel of a sample. The results are of the storage
 * type.
 */
public final class ColumnSums {
  private static final int THREADS = 256;

  private final Launcher launcher;

  ColumnSums(Launcher launcher) {
    this.launcher = launcher;
  }

  /** Those of an arena; null where the plain op must do it. */
  public static @Nullable ColumnSums in(Arena arena, Tensor dy, long samples) {
    Launcher launcher = Kernels.of(arena);
    return launcher != null && Kernels.take(dy) && ColumnTiles.take(dy, samples)
        ? new ColumnSums(launcher)
        : null;
  }

  /**
   * Where sums go.
   *
   * @param add whether its content is added to, rather than replaced
   */
  public record Slice(Tensor to, boolean add) {
    private static Object to(@Nullable Slice slice) {
      return Launch.orNull(slice == null ? null : slice.to);
    }

    private static int bit(@Nullable Slice slice, int bit) {
      return slice != null && slice.add ? bit : 0;
    }
  }

  /**
   * Adds up dy [N, .., C].
   *
   * @param ofEach for the sums of each sample, [N, C]; null for none
   * @param ofAll for those over all samples, [C]; at most two, which get the same
   */
  public void sum(Arena arena, Tensor dy, long samples, @Nullable Slice ofEach, List<Slice> ofAll) {
    Tensor work = arena.allocate("work", DType.F32, workElements(dy, samples));
    sum(dy, samples, work, ofEach, ofAll);
    work.release();
  }

  /** Elements of the work buffer, an F32 one. */
  static long workElements(Tensor dy, long samples) {
    return ColumnTiles.of(dy, samples, THREADS).work(1);
  }

  /** As above, with a work buffer of {@link #workElements}. */
  void sum(Tensor dy, long samples, Tensor work, @Nullable Slice ofEach, List<Slice> ofAll) {
    ColumnTiles cut = ColumnTiles.of(dy, samples, THREADS);
    Slice one = ofAll.isEmpty() ? null : ofAll.get(0);
    Slice other = ofAll.size() < 2 ? null : ofAll.get(1);
    launcher.launch(
        new Launch(
            KernelSource.COLUMN_SUMS,
            "column_sums_" + Launch.suffix(dy.dtype(), cut.vector() == 1),
            cut.chunks(),
            cut.tiles() * cut.samples(),
            THREADS,
            0,
            List.of(
                dy,
                work,
                Slice.to(ofEach),
                Slice.to(one),
                Slice.to(other),
                cut.samples(),
                cut.rows(),
                cut.channels(),
                Slice.bit(ofEach, 1) | Slice.bit(one, 2) | Slice.bit(other, 4))));
  }
}
