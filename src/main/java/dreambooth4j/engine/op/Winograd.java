package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.cudnn.Convolution;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;

/**
 * Convolutions of 3×3 in 2.25 times fewer multiplications: F(2×2, 3×3) of Winograd's minimal
 * filtering (Lavin and Gray 2016, section 4.1). A tile of 2×2 outputs is seen through 4×4 inputs;
 * both and the filter are transformed by sums alone, and what is left are 16 matrix products over
 * the tiles.
 *
 * <pre>
 * y  = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ x B)] A     dx: the same of dy with the filter turned by 180°
 * dw = Gᵀ [(A dy Aᵀ) ⊙ (Bᵀ x B)] G    summed over the tiles
 * </pre>
 *
 * Tiles are worked on in {@link Block}s whose transforms stay in a processor's cache, and filters
 * are transformed a few at a time for the same reason. All that is made on the way is the given
 * arena's and freed before the call returns: 16/9 of the weight, or of that of 320 channels of the
 * result where there is one block, and, a block, 16 values for each tile and channel of x and of y;
 * for the weight's gradient 28/9 of it. Rounding is about twice that of a plain convolution.
 */
final class Winograd {
  /** Tiles that are transformed at once: enough rows for the matrix products to be fast. */
  private static final long BLOCK = 512;

  /** Below so many channels transforming the images takes what the products save. */
  private static final long CHANNELS = 64;

  /** Below so many tiles transforming the filter does: bench/LOG.md. */
  private static final long TILES = 512;

  /** In so many channels the products save more. */
  private static final long MANY_CHANNELS = 320;

  /** Below so many tiles transforming the filter takes even that. */
  private static final long FEW_TILES = 128;

  /** Channels of the result whose filters are there at once where one block has all tiles. */
  private static final long FILTERS = 320;

  /** Numbers of filters, their rows transformed, that stay in a processor's cache. */
  private static final long CACHED = 1 << 19;

  /** Output tiles of some whole images or of some rows of tiles of one image. */
  private record Block(long image, long images, long row, long rows) {}

  private final long images;
  private final long height;
  private final long width;
  private final long tileRows;
  private final long tileColumns;

  Winograd(Convolution shape) {
    images = shape.images();
    height = shape.height();
    width = shape.width();
    tileRows = (height + 1) / 2;
    tileColumns = (width + 1) / 2;
  }

  /** Whether such a convolution can be done so and is faster for it, by its shape alone. */
  static boolean suits(Convolution shape) {
    long channels = Math.min(shape.in(), shape.out());
    return !shape.dtype().isHalf()
        && shape.kernelHeight() == 3
        && shape.kernelWidth() == 3
        && shape.stride() == 1
        && shape.padding() == 1
        && channels >= CHANNELS
        && tiles(shape) >= (channels < MANY_CHANNELS ? TILES : FEW_TILES);
  }

  /** Of those that {@link #suits} takes: whether the weight's gradient is faster so too. */
  static boolean suitsGradient(Convolution shape) {
    return tiles(shape) >= TILES;
  }

  private static long tiles(Convolution shape) {
    return shape.images() * ((shape.height() + 1) / 2L) * ((shape.width() + 1) / 2L);
  }

  /** y [B, H, W, O] of x [B, H, W, I] and a weight [O, 3, 3, I]; a new tensor. */
  Tensor forward(Arena arena, Tensor x, Tensor weight) {
    return Native.call("winograd", () -> convolution(arena, x, weight, false));
  }

  /** dx [B, H, W, I] of dy [B, H, W, O]; a new tensor. */
  Tensor backward(Arena arena, Tensor dy, Tensor weight) {
    return Native.call("winograd.dx", () -> convolution(arena, dy, weight, true));
  }

  private Tensor convolution(Arena arena, Tensor x, Tensor weight, boolean turned) {
    long out = weight.size(turned ? 3 : 0);
    boolean oneBlock = blocks().size() == 1;
    long part = oneBlock ? Math.min(FILTERS, out) : out;
    Tensor all = oneBlock ? null : filters(arena, weight, turned, 0, out);
    Tensor y = arena.allocate("winograd.images", x.dtype(), images, height, width, out);
    for (Block block : blocks(arena)) {
      Tensor seen = Native.call("winograd.inputs", () -> inputs(arena, x, block));
      for (long first = 0; first < out; first += part) {
        long channel = first;
        Tensor filters =
            all != null
                ? all.retain()
                : filters(arena, weight, turned, first, Math.min(part, out - first));
        Tensor products = products(arena, seen, filters, turned, block);
        filters.release();
        Native.run("winograd.outputs", () -> outputs(arena, products, y, block, channel));
        products.release();
      }
      seen.release();
    }
    if (all != null) {
      all.release();
    }
    return y;
  }

  /** The 16 products of a block, [4, 4, tiles, O]. */
  private Tensor products(Arena arena, Tensor seen, Tensor filters, boolean turned, Block block) {
    Tensor products =
        arena.allocate(
            "winograd.products", seen.dtype(), 4, 4, tiles(block), filters.size(turned ? 3 : 2));
    Native.run(
        "winograd.products",
        () ->
            torch.bmm_out(
                batch(products),
                batch(seen),
                turned ? batch(filters) : batch(filters).transpose(1, 2)));
    return products;
  }

  /** The weight's gradient [O, 3, 3, I]; a new tensor. */
  Tensor weightGradient(Arena arena, Tensor x, Tensor dy) {
    return Native.call("winograd.dw", () -> gradient(arena, x, dy));
  }

  private Tensor gradient(Arena arena, Tensor x, Tensor dy) {
    long in = x.size(3);
    long out = dy.size(3);
    Tensor sums = arena.allocate("winograd.filters", x.dtype(), 4, 4, out, in);
    List<Block> blocks = blocks(arena);
    for (int i = 0; i < blocks.size(); i++) {
      Block block = blocks.get(i);
      Tensor seen = Native.call("winograd.inputs", () -> inputs(arena, x, block));
      Tensor spread = Native.call("winograd.spread", () -> spread(arena, dy, block));
      boolean first = i == 0;
      Native.run(
          "winograd.sums",
          () -> {
            org.bytedeco.pytorch.Tensor left = batch(spread).transpose(1, 2);
            if (first) {
              torch.bmm_out(batch(sums), left, batch(seen));
            } else {
              batch(sums).baddbmm_(left, batch(seen));
            }
          });
      spread.release();
      seen.release();
    }
    Tensor rows = arena.allocate("winograd.filter rows", x.dtype(), 3, 4, out, in);
    Native.run(
        "winograd.filter rows", () -> gathered(parts(sums.handle(), 0), parts(rows.handle(), 0)));
    sums.release();
    Tensor gradient = arena.allocate("winograd.dw", x.dtype(), out, 3, 3, in);
    gathered(parts(rows.handle(), 1), parts(gradient.handle().transpose(0, 1), 2));
    rows.release();
    return gradient;
  }

  /** Gᵀ of four into three. */
  private static void gathered(
      List<org.bytedeco.pytorch.Tensor> from, List<org.bytedeco.pytorch.Tensor> to) {
    torch.add_out(to.get(2), from.get(1), from.get(2)).mul_(new Scalar(0.5));
    torch.add_out(to.get(0), from.get(0), to.get(2));
    to.get(2).add_(from.get(3));
    torch.sub_out(to.get(1), from.get(1), from.get(2)).mul_(new Scalar(0.5));
  }

  /**
   * G w Gᵀ of {@code n} channels of the result from the {@code first}: [4, 4, O, I]. A filter
   * turned by 180° has the transform of the filter with its ends exchanged.
   */
  private static Tensor filters(Arena arena, Tensor weight, boolean turned, long first, long n) {
    long out = turned ? weight.size(0) : n;
    long in = turned ? n : weight.size(3);
    long atOnce = Math.min(out, Math.max(1, CACHED / (12 * in)));
    Tensor filters = arena.allocate("winograd.filters", weight.dtype(), 4, 4, out, in);
    Tensor rows = arena.allocate("winograd.filter rows", weight.dtype(), 4, atOnce, 3, in);
    for (long from = 0; from < out && !arena.isDry(); from += atOnce) {
      long start = from;
      long count = Math.min(atOnce, out - from);
      Native.run(
          "winograd.filters",
          () -> {
            var some = weight.handle().narrow(turned ? 3 : 0, first, n).narrow(0, start, count);
            var between = rows.handle().narrow(1, 0, count);
            var to = filters.handle().narrow(2, start, count);
            spreadFilter(parts(some, 1), ordered(parts(between, 0), turned));
            spreadFilter(parts(between, 2), ordered(parts(to, 1), turned));
          });
    }
    rows.release();
    return filters;
  }

  private static List<org.bytedeco.pytorch.Tensor> ordered(
      List<org.bytedeco.pytorch.Tensor> four, boolean turned) {
    if (turned) {
      Collections.swap(four, 0, 3);
    }
    return four;
  }

  /** G of three into four. */
  private static void spreadFilter(
      List<org.bytedeco.pytorch.Tensor> from, List<org.bytedeco.pytorch.Tensor> to) {
    Scalar half = new Scalar(0.5);
    to.get(0).copy_(from.get(0));
    torch.add_out(to.get(1), from.get(0), from.get(2)).mul_(half);
    torch.sub_out(to.get(2), to.get(1), from.get(1), half);
    to.get(1).add_(from.get(1), half);
    to.get(3).copy_(from.get(2));
  }

  /** Bᵀ x B of a block's tiles, each of which sees one pixel beyond its own: [4, 4, b, h, w, C]. */
  private Tensor inputs(Arena arena, Tensor x, Block block) {
    long channels = x.size(3);
    long columns = 2 * tileColumns + 2;
    Tensor padded =
        arena.zeros(
            "winograd.padded", x.dtype(), block.images, 2 * block.rows + 2, columns, channels);
    long first = Math.max(0, 2 * block.row - 1);
    long end = Math.min(height, 2 * (block.row + block.rows) + 1);
    padded
        .handle()
        .narrow(1, first - (2 * block.row - 1), end - first)
        .narrow(2, 1, width)
        .copy_(x.handle().narrow(0, block.image, block.images).narrow(1, first, end - first));
    Tensor rows =
        arena.allocate("winograd.rows", x.dtype(), 4, block.images, block.rows, columns, channels);
    differences(lines(padded.handle(), 1, 4), parts(rows.handle(), 0));
    padded.release();
    Tensor inputs = tilesOf(arena, "winograd.inputs", block, x);
    differences(lines(rows.handle(), 3, 4), parts(inputs.handle(), 1));
    rows.release();
    return inputs;
  }

  /** The first, second and so on of {@code n} lines along an axis that each tile sees. */
  private static List<org.bytedeco.pytorch.Tensor> lines(
      org.bytedeco.pytorch.Tensor padded, int axis, long n) {
    return parts(padded.unfold(axis, n, 2), (int) padded.dim());
  }

  /** Bᵀ of four into four. */
  private static void differences(
      List<org.bytedeco.pytorch.Tensor> from, List<org.bytedeco.pytorch.Tensor> to) {
    torch.sub_out(to.get(0), from.get(0), from.get(2));
    torch.add_out(to.get(1), from.get(1), from.get(2));
    torch.sub_out(to.get(2), from.get(2), from.get(1));
    torch.sub_out(to.get(3), from.get(1), from.get(3));
  }

  /**
   * Aᵀ m A: each tile's 2×2 pixels into their places, those beyond odd edges left out, in y's
   * channels from the given one.
   */
  private void outputs(Arena arena, Tensor products, Tensor y, Block block, long channel) {
    long channels = products.size(3);
    long tiles = tiles(block);
    Tensor rows = arena.allocate("winograd.rows", y.dtype(), 2, 4, tiles, channels);
    pairs(parts(products.handle(), 0), parts(rows.handle(), 0));
    org.bytedeco.pytorch.Tensor to = pixels(y, block).narrow(3, channel, channels);
    org.bytedeco.pytorch.Tensor all =
        rows.handle().view(2, 4, block.images, block.rows, tileColumns, channels);
    for (int i = 0; i < 2; i++) {
      org.bytedeco.pytorch.Tensor line = every2nd(to, 1, i);
      pairs(
          parts(all.select(0, i).narrow(2, 0, line.size(1)), 0),
          List.of(every2nd(line, 2, 0), every2nd(line, 2, 1)));
    }
    rows.release();
  }

  /** Aᵀ of four into two, of which the second may be a column short. */
  private static void pairs(
      List<org.bytedeco.pytorch.Tensor> from, List<org.bytedeco.pytorch.Tensor> to) {
    torch.add_out(to.get(0), from.get(1), from.get(2)).add_(from.get(0));
    org.bytedeco.pytorch.Tensor second = to.get(1);
    if (second.dim() == 4 && second.size(2) < from.get(0).size(2)) {
      from.replaceAll(each -> each.narrow(2, 0, second.size(2)));
    }
    torch.sub_out(second, from.get(1), from.get(2)).sub_(from.get(3));
  }

  /** A dy Aᵀ of a block's tiles: [4, 4, b, h, w, O]. */
  private Tensor spread(Arena arena, Tensor dy, Block block) {
    long channels = dy.size(3);
    Tensor padded =
        arena.zeros(
            "winograd.padded", dy.dtype(), block.images, 2 * block.rows, 2 * tileColumns, channels);
    org.bytedeco.pytorch.Tensor from = pixels(dy, block);
    padded.handle().narrow(1, 0, from.size(1)).narrow(2, 0, width).copy_(from);
    Tensor rows =
        arena.allocate(
            "winograd.rows", dy.dtype(), 4, block.images, block.rows, 2 * tileColumns, channels);
    spreadPair(lines(padded.handle(), 1, 2), parts(rows.handle(), 0));
    padded.release();
    Tensor spread = tilesOf(arena, "winograd.spread", block, dy);
    spreadPair(lines(rows.handle(), 3, 2), parts(spread.handle(), 1));
    rows.release();
    return spread;
  }

  /** A of two into four. */
  private static void spreadPair(
      List<org.bytedeco.pytorch.Tensor> from, List<org.bytedeco.pytorch.Tensor> to) {
    to.get(0).copy_(from.get(0));
    torch.add_out(to.get(1), from.get(0), from.get(1));
    torch.sub_out(to.get(2), from.get(0), from.get(1));
    torch.neg_out(to.get(3), from.get(1));
  }

  private Tensor tilesOf(Arena arena, String what, Block block, Tensor images) {
    return arena.allocate(
        what, images.dtype(), 4, 4, block.images, block.rows, tileColumns, images.size(3));
  }

  /** A block's own pixels of y or dy: a view. */
  private org.bytedeco.pytorch.Tensor pixels(Tensor y, Block block) {
    long first = 2 * block.row;
    return y.handle()
        .narrow(0, block.image, block.images)
        .narrow(1, first, Math.min(2 * block.rows, height - first));
  }

  private static org.bytedeco.pytorch.Tensor every2nd(
      org.bytedeco.pytorch.Tensor images, int axis, long from) {
    return images.slice(axis, new LongOptional(from), new LongOptional(images.size(axis)), 2);
  }

  /** The 16 matrices of a transform [4, 4, .., C]: its rows are tiles or filters. */
  private static org.bytedeco.pytorch.Tensor batch(Tensor transform) {
    return transform.handle().view(16, -1, transform.size(-1));
  }

  private static List<org.bytedeco.pytorch.Tensor> parts(
      org.bytedeco.pytorch.Tensor all, int axis) {
    List<org.bytedeco.pytorch.Tensor> parts = new ArrayList<>();
    for (long i = 0; i < all.size(axis); i++) {
      parts.add(all.select(axis, i));
    }
    return parts;
  }

  private long tiles(Block block) {
    return block.images * block.rows * tileColumns;
  }

  /** Of a dry run the first alone: no other takes more, and large pictures have thousands. */
  private List<Block> blocks(Arena arena) {
    return arena.isDry() ? blocks().subList(0, 1) : blocks();
  }

  private List<Block> blocks() {
    List<Block> blocks = new ArrayList<>();
    long whole = BLOCK / (tileRows * tileColumns);
    if (whole > 0) {
      for (long image = 0; image < images; image += whole) {
        blocks.add(new Block(image, Math.min(whole, images - image), 0, tileRows));
      }
      return blocks;
    }
    long rows = Math.max(1, BLOCK / tileColumns);
    for (long image = 0; image < images; image++) {
      for (long row = 0; row < tileRows; row += rows) {
        blocks.add(new Block(image, 1, row, Math.min(rows, tileRows - row)));
      }
    }
    return blocks;
  }
}
