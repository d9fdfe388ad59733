package dreambooth4j.bench;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;

/** Charts have few colours: with a palette of 16 their PNG files are a fifth as large. */
final class Palette {
  private static final int MOST = 16;
  private static final int BITS = 4;

  /** Bits of each channel by which colours are told apart, so that blends do not fill it. */
  private static final int MASK = 0xF0F0F0;

  private Palette() {}

  /**
   * Writes a PNG file anew with those of {@code wanted} that it has and its most frequent colours,
   * each other one by the nearest.
   */
  static void reduce(Path file, Collection<Color> wanted) throws IOException {
    BufferedImage picture = ImageIO.read(file.toFile());
    int width = picture.getWidth();
    int height = picture.getHeight();
    int[] pixels = picture.getRGB(0, 0, width, height, null, 0, width);
    int[] colours = frequent(pixels, wanted);
    IndexColorModel palette =
        new IndexColorModel(BITS, colours.length, colours, 0, false, -1, DataBuffer.TYPE_BYTE);
    BufferedImage reduced =
        new BufferedImage(width, height, BufferedImage.TYPE_BYTE_BINARY, palette);
    Map<Integer, Integer> nearest = new HashMap<>();
    int[] row = new int[width];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        row[x] = nearest.computeIfAbsent(pixels[y * width + x], c -> nearest(c, colours));
      }
      reduced.getRaster().setSamples(0, y, width, 1, 0, row);
    }
    Path part = file.resolveSibling(file.getFileName() + ".part");
    write(reduced, part);
    Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Wanted colours, then the most frequent: of those that are about alike only the first. */
  private static int[] frequent(int[] pixels, Collection<Color> wanted) {
    Set<Integer> first =
        wanted.stream().map(each -> each.getRGB() & 0xFFFFFF).collect(Collectors.toSet());
    Map<Integer, Integer> counts = new HashMap<>();
    for (int pixel : pixels) {
      counts.merge(pixel & 0xFFFFFF, 1, Integer::sum);
    }
    Map<Integer, Integer> alike = new LinkedHashMap<>(); // pixels by coarse colour
    Map<Integer, Integer> exact = new HashMap<>();
    counts.entrySet().stream()
        .sorted(
            Comparator.<Map.Entry<Integer, Integer>, Boolean>comparing(
                    each -> !first.contains(each.getKey()))
                .thenComparing(Map.Entry.<Integer, Integer>comparingByValue().reversed())
                .thenComparing(Map.Entry.comparingByKey()))
        .forEach(
            each -> {
              alike.merge(each.getKey() & MASK, each.getValue(), Integer::sum);
              exact.putIfAbsent(each.getKey() & MASK, each.getKey());
            });
    return alike.entrySet().stream()
        .sorted(
            Comparator.<Map.Entry<Integer, Integer>, Boolean>comparing(
                    each -> !first.contains(exact.get(each.getKey())))
                .thenComparing(Map.Entry.<Integer, Integer>comparingByValue().reversed()))
        .limit(MOST)
        .mapToInt(each -> exact.getOrDefault(each.getKey(), each.getKey()))
        .toArray();
  }

  private static void write(BufferedImage picture, Path file) throws IOException {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("png").next();
    ImageWriteParam best = writer.getDefaultWriteParam();
    best.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
    best.setCompressionQuality(0); // the smallest file; nothing is lost
    try (ImageOutputStream out = ImageIO.createImageOutputStream(file.toFile())) {
      writer.setOutput(out);
      writer.write(null, new IIOImage(picture, null, null), best);
    } finally {
      writer.dispose();
    }
  }

  private static int nearest(int colour, int[] colours) {
    int best = 0;
    int least = Integer.MAX_VALUE;
    for (int i = 0; i < colours.length; i++) {
      int distance = 0;
      for (int shift = 0; shift < 24; shift += 8) {
        int apart = (colour >> shift & 0xFF) - (colours[i] >> shift & 0xFF);
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
