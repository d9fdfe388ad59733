package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Tensor;

/**
 * How sums of columns are cut, {@code columns.cuh}: a block has a tile of columns and a chunk of
 * the rows of a sample. A function of the sizes alone, so that the same sizes round the same on
 * every GPU.
 *
 * @param rows of a sample
 */
record ColumnTiles(int samples, int rows, int channels, int vector, int tiles, int chunks) {
  /** Bytes of a row that a block has, and columns where they are no whole vectors. */
  private static final int TILE_BYTES = 128;

  private static final int TILE_ODD = 32;

  /** As many as {@code columns.cuh} has counters. */
  private static final int MOST_TILES = 1024;

  /** Rows that a thread adds up at least, and blocks that are enough for any GPU. */
  private static final int ROWS = 16;

  private static final int BLOCKS = 2048;

  /**
   * Of [.., C], all but the last axis divided into so many samples, by blocks of {@code threads}.
   */
  static ColumnTiles of(Tensor x, long samples, int threads) {
    int channels = Math.toIntExact(x.size(-1));
    int rows = Math.toIntExact(x.count() / samples / channels);
    int vector = Launch.vector(x.dtype(), channels);
    int atOnce = threads / (vector == 1 ? TILE_ODD : TILE_BYTES / 16);
    long blocks = tiles(x) * samples;
    int most = (int) Math.max(1, BLOCKS / blocks);
    int chunks = Launch.blocks(rows, atOnce * ROWS, most);
    return new ColumnTiles((int) samples, rows, channels, vector, (int) tiles(x), chunks);
  }

  private static long tiles(Tensor x) {
    boolean odd = Launch.vector(x.dtype(), x.size(-1)) == 1;
    int width = odd ? TILE_ODD : TILE_BYTES / x.dtype().bytes();
    return (x.size(-1) + width - 1) / width;
  }

  /** Whether so many columns, rows and samples can be cut so. */
  static boolean take(Tensor x, long samples) {
    return x.count() / samples / x.size(-1) <= Integer.MAX_VALUE
        && tiles(x) <= MOST_TILES
        && samples * tiles(x) <= Launch.MOST_ROWS;
  }

  /** Elements of the work buffer, F32, for so many sums of each column. */
  long work(int sums) {
    return (long) samples * chunks * sums * channels;
  }
}
