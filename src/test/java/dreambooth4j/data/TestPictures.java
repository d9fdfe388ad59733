package dreambooth4j.data;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/** Makes folders of captioned pictures for tests. */
public final class TestPictures {
  private TestPictures() {}

  /** Writes a PNG of this size with its caption beside it; returns the PNG. */
  public static Path write(Path folder, String name, int width, int height, String caption)
      throws IOException {
    Path file = folder.resolve(name + ".png");
    Files.createDirectories(file.resolveSibling("."));
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    // No two alike: duplicates are set aside.
    image.setRGB(0, 0, file.toString().hashCode());
    image.setRGB(1, 0, name.hashCode());
    ImageIO.write(image, "png", file.toFile());
    Files.writeString(folder.resolve(name + ".txt"), caption);
    return file;
  }
}
