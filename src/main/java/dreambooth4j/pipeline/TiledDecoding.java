package dreambooth4j.pipeline;

import dreambooth4j.data.Pixels;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Vae;
import java.util.ArrayList;
import java.util.List;

/**
 * A picture that the VAE decodes in tiles, which overlap by a quarter and are blended there, as
 * diffusers' {@code enable_vae_tiling} does: memory for one tile is enough. Each tile is normed by
 * itself, so that colours differ a little from those of a picture that is decoded whole.
 */
final class TiledDecoding {
  /** Latents a side of a tile: 512 pixels of a VAE of factor 8. */
  static final int SIDE = 64;

  /** The part of a tile that it shares with the next. */
  private static final double OVERLAP = 0.25;

  private final Vae vae;
  private final int side;

  /** Tiles of so many latents a side. */
  TiledDecoding(Vae vae, int side) {
    this.vae = vae;
    this.side = side;
  }

  /** Whether latents of this size are more than one tile. */
  boolean isLarger(long height, long width) {
    return height > side || width > side;
  }

  /**
   * Decodes one picture.
   *
   * @param latents F32 [1, h, w, channels], already divided by the scaling factor
   * @return [h · factor, w · factor, 3] in a row, about −1..1
   */
  float[] decode(Arena arena, Tensor latents) {
    int height = (int) latents.size(1);
    int width = (int) latents.size(2);
    int stride = (int) (side * (1 - OVERLAP));
    int factor = vae.config().factor();
    int blended = (int) (side * factor * OVERLAP);
    int kept = side * factor - blended;
    float[] all = latents.toFloats();
    float[] picture = new float[height * factor * width * factor * Pixels.CHANNELS];
    List<Tile> above = List.of();
    for (int top = 0; top < height; top += stride) {
      List<Tile> row = new ArrayList<>();
      for (int left = 0; left < width; left += stride) {
        Tile tile = decode(arena, all, latents, top, left);
        int number = row.size();
        if (top > 0) {
          tile.blendBelow(above.get(number), blended);
        }
        if (left > 0) {
          tile.blendBeside(row.get(number - 1), blended);
        }
        row.add(tile);
        tile.copyTo(picture, top / stride * kept, number * kept, kept, width * factor);
      }
      above = row;
    }
    return picture;
  }

  private Tile decode(Arena arena, float[] all, Tensor latents, int top, int left) {
    int channels = (int) latents.size(3);
    int width = (int) latents.size(2);
    int rows = (int) Math.min(side, latents.size(1) - top);
    int columns = Math.min(side, width - left);
    float[] part = new float[rows * columns * channels];
    for (int y = 0; y < rows; y++) {
      int from = ((top + y) * width + left) * channels;
      System.arraycopy(all, from, part, y * columns * channels, columns * channels);
    }
    try (Arena scratch = arena.child("tile");
        Tape tape = Tape.inference(scratch)) {
      Tensor given = scratch.floats("tile", part, 1, rows, columns, channels);
      Tensor decoded = vae.decode(tape, tape.constant(given)).value();
      return new Tile((int) decoded.size(1), (int) decoded.size(2), decoded.toFloats());
    }
  }

  /** A decoded part; what is blended with it stays in it, for the next to be blended with. */
  @SuppressWarnings("ArrayRecordComponent") // filled in place, never compared
  private record Tile(int height, int width, float[] values) {
    private int at(int y, int x) {
      return (y * width + x) * Pixels.CHANNELS;
    }

    void blendBelow(Tile above, int extent) {
      int rows = Math.min(Math.min(above.height, height), extent);
      for (int y = 0; y < rows; y++) {
        for (int x = 0; x < width; x++) {
          blend(above, above.at(above.height - rows + y, x), at(y, x), (float) y / rows);
        }
      }
    }

    void blendBeside(Tile before, int extent) {
      int columns = Math.min(Math.min(before.width, width), extent);
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < columns; x++) {
          int theirs = before.at(y, before.width - columns + x);
          blend(before, theirs, at(y, x), (float) x / columns);
        }
      }
    }

    private void blend(Tile other, int theirs, int ours, float share) {
      for (int c = 0; c < Pixels.CHANNELS; c++) {
        values[ours + c] = other.values[theirs + c] * (1 - share) + values[ours + c] * share;
      }
    }

    void copyTo(float[] picture, int top, int left, int most, int pictureWidth) {
      int columns = Math.min(width, most);
      for (int y = 0; y < Math.min(height, most); y++) {
        System.arraycopy(
            values,
            at(y, 0),
            picture,
            ((top + y) * pictureWidth + left) * Pixels.CHANNELS,
            columns * Pixels.CHANNELS);
      }
    }
  }
}
