package dreambooth4j.data;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Brings decoded pictures of any kind to 8-bit RGB, and RGB to Java's encoders. */
final class Rgb {
  private Rgb() {}

  /** The picture in RGB; what is transparent lies on white. */
  static Pixels of(BufferedImage image) {
    if (image.getColorModel().getColorSpace().getType() == ColorSpace.TYPE_GRAY) {
      return ofGrey(image);
    }
    int width = image.getWidth();
    int height = image.getHeight();
    BufferedImage rgb = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = rgb.createGraphics();
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, width, height);
    graphics.drawImage(image, 0, 0, null);
    graphics.dispose();
    int[] row = new int[width];
    byte[] bytes = new byte[width * height * Pixels.CHANNELS];
    int to = 0;
    for (int y = 0; y < height; y++) {
      rgb.getRaster().getDataElements(0, y, width, 1, row);
      for (int pixel : row) {
        bytes[to++] = (byte) (pixel >> 16);
        bytes[to++] = (byte) (pixel >> 8);
        bytes[to++] = (byte) pixel;
      }
    }
    return new Pixels(width, height, bytes);
  }

  /** How opaque the picture is, as grey; null if it is opaque all over. */
  static @Nullable Pixels opacity(BufferedImage image) {
    if (!image.getColorModel().hasAlpha()) {
      return null;
    }
    int width = image.getWidth();
    int height = image.getHeight();
    byte[] bytes = new byte[width * height * Pixels.CHANNELS];
    boolean opaque = true;
    for (int i = 0; i < width * height; i++) {
      byte cover = (byte) (image.getRGB(i % width, i / width) >>> 24);
      opaque &= cover == (byte) 0xFF;
      Arrays.fill(bytes, i * Pixels.CHANNELS, (i + 1) * Pixels.CHANNELS, cover);
    }
    return opaque ? null : new Pixels(width, height, bytes);
  }

  /** The picture as Java's encoders take it. */
  static BufferedImage image(Pixels picture) {
    int width = picture.width();
    int height = picture.height();
    byte[] rgb = picture.rgb();
    int[] packed = new int[width * height];
    for (int i = 0; i < packed.length; i++) {
      int from = i * Pixels.CHANNELS;
      packed[i] = (rgb[from] & 0xFF) << 16 | (rgb[from + 1] & 0xFF) << 8 | (rgb[from + 2] & 0xFF);
    }
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    image.getRaster().setDataElements(0, 0, width, height, packed);
    return image;
  }

  /**
   * Java takes grey samples for linear light and would brighten them; files hold them with the same
   * curve as RGB, so they are copied.
   */
  private static Pixels ofGrey(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    Raster raster = image.getRaster();
    double full = (1 << image.getColorModel().getComponentSize(0)) - 1;
    boolean alpha = image.getColorModel().hasAlpha() && raster.getNumBands() > 1;
    int[] greys = new int[width];
    int[] covers = new int[width];
    byte[] bytes = new byte[width * height * Pixels.CHANNELS];
    int to = 0;
    for (int y = 0; y < height; y++) {
      raster.getSamples(0, y, width, 1, 0, greys);
      if (alpha) {
        raster.getSamples(0, y, width, 1, 1, covers);
      }
      for (int x = 0; x < width; x++) {
        double cover = alpha ? covers[x] / full : 1;
        byte grey = (byte) Math.round(255 * (greys[x] / full * cover + 1 - cover));
        bytes[to++] = grey;
        bytes[to++] = grey;
        bytes[to++] = grey;
      }
    }
    return new Pixels(width, height, bytes);
  }
}
