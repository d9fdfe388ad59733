package dreambooth4j.data;

import static java.awt.image.BufferedImage.TYPE_INT_RGB;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Random;
import javax.imageio.ImageIO;

/** Makes folders of captioned pictures for tests. */
public final class TestPictures {
  private TestPictures() {}

  /** Writes a nearly black PNG of this size with its caption beside it; returns the PNG. */
  public static Path write(Path folder, String name, int width, int height, String caption)
      throws IOException {
    BufferedImage image = new BufferedImage(width, height, TYPE_INT_RGB);
    // No two alike: duplicates are set aside.
    image.setRGB(0, 0, folder.resolve(name).toString().hashCode());
    image.setRGB(1, 0, name.hashCode());
    return save(folder, name, caption, image);
  }

  /** As {@link #write}, with pixels that the seed decides. */
  public static Path paint(
      Path folder, String name, int width, int height, String caption, int seed)
      throws IOException {
    return save(folder, name, caption, painted(width, height, seed));
  }

  /** As {@link #paint}, a JPEG whose EXIF orientation, 1 to 8, turns or mirrors it. */
  public static Path paintTurned(
      Path folder, String name, int width, int height, String caption, int seed, int orientation)
      throws IOException {
    ByteArrayOutputStream jpeg = new ByteArrayOutputStream();
    ImageIO.write(painted(width, height, seed), "jpg", jpeg);
    // After the start marker: segment APP1 with "Exif" and one entry, tag 0x0112, a SHORT.
    String exif = "ffe10022457869660000" + "4d4d002a00000008" + "0001" + "0112000300000001";
    byte[] segment = HexFormat.of().parseHex(exif + "%04x0000".formatted(orientation) + "00000000");
    ByteBuffer file = ByteBuffer.allocate(jpeg.size() + segment.length);
    file.put(jpeg.toByteArray(), 0, 2).put(segment).put(jpeg.toByteArray(), 2, jpeg.size() - 2);
    Files.createDirectories(folder);
    Files.writeString(folder.resolve(name + ".txt"), caption);
    return Files.write(folder.resolve(name + ".jpg"), file.array());
  }

  private static BufferedImage painted(int width, int height, int seed) {
    BufferedImage image = new BufferedImage(width, height, TYPE_INT_RGB);
    Random random = new Random(seed);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.setRGB(x, y, random.nextInt(1 << 24));
      }
    }
    return image;
  }

  private static Path save(Path folder, String name, String caption, BufferedImage image)
      throws IOException {
    Path file = folder.resolve(name + ".png");
    Files.createDirectories(file.resolveSibling("."));
    ImageIO.write(image, "png", file.toFile());
    Files.writeString(folder.resolve(name + ".txt"), caption);
    return file;
  }
}
