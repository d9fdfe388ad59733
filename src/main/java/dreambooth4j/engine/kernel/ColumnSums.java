package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Sums of the columns of [N, .., C] over all axes between, {@code column_sums.cu}: gradients of
 * biases, with N 1, and of vectors that were added to every pixel of a sample. The result [N, C] is
 * of the storage type.
 */
public final class ColumnSums {
  private static final int THREADS = 256;

  /** Bytes of a row that a block has, and columns where they are no whole vectors. */
  private static final int TILE_BYTES = 128;

  private static final int TILE_ODD = 32;

  /** Rows that a thread adds up at least, and blocks that are enough for any GPU. */
  private static final int ROWS = 16;

  private static final int BLOCKS = 2048;

  /** How the work is cut: a function of the sizes alone, so that the same sizes round the same. */
  private record Cut(int samples, int rows, int channels, boolean odd, int tiles, int chunks) {
    static Cut of(Tensor dy, long samples) {
      int channels = Math.toIntExact(dy.size(-1));
      int rows = Math.toIntExact(dy.count() / samples / channels);
      boolean odd = Launch.vector(dy.dtype(), channels) == 1;
      int tile = tile(dy);
      int tiles = (channels + tile - 1) / tile;
      int atOnce = odd ? THREADS / TILE_ODD : THREADS * 16 / TILE_BYTES;
      long blocks = tiles * samples;
      int chunks =
          Launch.blocks(rows, atOnce * ROWS, (int) Math.max(1, Math.min(BLOCKS, BLOCKS / blocks)));
      return new Cut((int) samples, rows, channels, odd, tiles, chunks);
    }

    private static int tile(Tensor dy) {
      return Launch.vector(dy.dtype(), dy.size(-1)) == 1
          ? TILE_ODD
          : TILE_BYTES / dy.dtype().bytes();
    }

    /** Whether so many columns and samples can be cut so. */
    static boolean take(Tensor dy, long samples) {
      long channels = dy.size(-1);
      return dy.count() / samples / channels <= Integer.MAX_VALUE
          && samples * ((channels - 1) / tile(dy) + 1) <= Launch.MOST_ROWS;
    }
  }

  private final Launcher launcher;

  ColumnSums(Launcher launcher) {
    this.launcher = launcher;
  }

  /**
   * Those of an arena; null where the plain op must do it.
   *
   * @param like of the type that the sums must have
   */
  public static @Nullable ColumnSums in(Arena arena, Tensor dy, long samples, Tensor like) {
    Launcher launcher = Kernels.of(arena);
    return launcher != null
            && Kernels.take(dy)
            && dy.dtype() == like.dtype()
            && Cut.take(dy, samples)
        ? new ColumnSums(launcher)
        : null;
  }

  /** Adds up dy [N, .., C] to {@code to} [N, C], whose content is replaced, or added to. */
  public void sum(Arena arena, Tensor dy, long samples, Tensor to, boolean add) {
    long elements = workElements(dy, samples);
    Tensor work = elements == 0 ? null : arena.allocate("work", DType.F32, elements);
    sum(dy, samples, work, to, add);
    if (work != null) {
      work.release();
    }
  }

  /** Elements of the work buffer, an F32 one; 0 for none. */
  static long workElements(Tensor dy, long samples) {
    Cut cut = Cut.of(dy, samples);
    return cut.chunks == 1 ? 0 : samples * cut.channels * cut.chunks;
  }

  /** As above, with a work buffer of {@link #workElements}. */
  void sum(Tensor dy, long samples, @Nullable Tensor work, Tensor to, boolean add) {
    Cut cut = Cut.of(dy, samples);
    int accumulate = add ? 1 : 0;
    launcher.launch(
        new Launch(
            KernelSource.COLUMN_SUMS,
            "column_sums_" + Launch.suffix(dy.dtype(), cut.odd),
            cut.chunks,
            cut.tiles * cut.samples,
            THREADS,
            0,
            List.of(dy, Launch.orNull(work), to, cut.rows, cut.channels, accumulate)));
    if (work != null) {
      int sums = cut.samples * cut.channels;
      launcher.launch(
          new Launch(
              KernelSource.COLUMN_SUMS,
              "column_sums_finish_" + Launch.suffix(dy.dtype(), false),
              Launch.blocks(sums, 4, sums),
              1,
              128,
              0,
              List.of(work, to, sums, cut.chunks, accumulate)));
    }
  }
}
