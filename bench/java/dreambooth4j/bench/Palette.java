package dreambooth4j.bench;

import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;

/** Charts have few colours: with a palette of them their PNG files are a third as large. */
final class Palette {
  private static final int MOST = 256;

  /** Bits of each channel by which colours are told apart, so that blends do not fill it. */
  private static final int MASK = 0xF8F8F8;

  private Palette() {}

  /** Writes a PNG file anew with its most frequent colours, each other one by the nearest. */
  static void reduce(Path file) throws IOException {
    BufferedImage picture = ImageIO.read(file.toFile());
    int width = picture.getWidth();
    int height = picture.getHeight();
    int[] pixels = picture.getRGB(0, 0, width, height, null, 0, width);
    Map<Integer, Integer> counts = new HashMap<>(); // by coarse colour
    Map<Integer, Integer> exact = new HashMap<>();
    for (int pixel : pixels) {
      counts.merge(pixel & MASK, 1, Integer::sum);
      exact.putIfAbsent(pixel & MASK, pixel & 0xFFFFFF);
    }
    List<Integer> kept =
        counts.entrySet().stream()
            .sorted(Comparator.comparing(each -> -each.getValue()))
            .limit(MOST)
            .map(each -> exact.getOrDefault(each.getKey(), each.getKey()))
            .toList();
    int[] colours = kept.stream().mapToInt(Integer::intValue).toArray();
    IndexColorModel palette =
        new IndexColorModel(8, colours.length, colours, 0, false, -1, DataBuffer.TYPE_BYTE);
    BufferedImage reduced =
        new BufferedImage(width, height, BufferedImage.TYPE_BYTE_INDEXED, palette);
    Map<Integer, Integer> nearest = new HashMap<>();
    int[] row = new int[width];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        row[x] = nearest.computeIfAbsent(pixels[y * width + x] & MASK, c -> nearest(c, colours));
      }
      reduced.getRaster().setSamples(0, y, width, 1, 0, row);
    }
    Path part = file.resolveSibling(file.getFileName() + ".part");
    ImageIO.write(reduced, "png", part.toFile());
    Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
  }

  private static int nearest(int colour, int[] colours) {
    int best = 0;
    int least = Integer.MAX_VALUE;
    for (int i = 0; i < colours.length; i++) {
      int distance = 0;
      for (int shift = 0; shift < 24; shift += 8) {
        int apart = (colour >> shift & 0xF8) - (colours[i] >> shift & 0xF8);
        distance += apart * apart;
      }
      if (distance < least) {
        least = distance;
        best = i;
      }
    }
    return best;
  }
}
