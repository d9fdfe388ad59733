package dreambooth4j.bench;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;

/** Charts have few colours: with a palette of 16 their PNG files are a fifth as large. */
final class Palette {
  private static final int MOST = 16;
  private static final int BITS = 4;

  private Palette() {}

  /**
   * Writes a PNG file anew with those of {@code wanted} that it has and as many others as fit, each
   * other one by the nearest.
   */
  static void reduce(Path file, Collection<Color> wanted) throws IOException {
    BufferedImage picture = ImageIO.read(file.toFile());
    int width = picture.getWidth();
    int height = picture.getHeight();
    int[] pixels = picture.getRGB(0, 0, width, height, null, 0, width);
    int[] colours = chosen(pixels, wanted);
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

  /** Wanted colours that occur, then one after another the one that costs most to go without. */
  private static int[] chosen(int[] pixels, Collection<Color> wanted) {
    Map<Integer, Integer> counts = new TreeMap<>();
    for (int pixel : pixels) {
      counts.merge(pixel & 0xFFFFFF, 1, Integer::sum);
    }
    int[] colours =
        wanted.stream()
            .mapToInt(each -> each.getRGB() & 0xFFFFFF)
            .filter(counts::containsKey)
            .distinct()
            .limit(MOST)
            .toArray();
    while (colours.length < Math.min(MOST, counts.size())) {
      int worst = -1;
      long most = -1;
      for (var each : counts.entrySet()) {
        int colour = each.getKey();
        long apart = colours.length == 0 ? 1 : apart(colour, colours[nearest(colour, colours)]);
        if (apart * each.getValue() > most) {
          most = apart * each.getValue();
          worst = colour;
        }
      }
      colours = Arrays.copyOf(colours, colours.length + 1);
      colours[colours.length - 1] = worst;
    }
    return colours;
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
    for (int i = 1; i < colours.length; i++) {
      if (apart(colour, colours[i]) < apart(colour, colours[best])) {
        best = i;
      }
    }
    return best;
  }

  private static int apart(int colour, int other) {
    int sum = 0;
    for (int shift = 0; shift < 24; shift += 8) {
      int difference = (colour >> shift & 0xFF) - (other >> shift & 0xFF);
      sum += difference * difference;
    }
    return sum;
  }
}
