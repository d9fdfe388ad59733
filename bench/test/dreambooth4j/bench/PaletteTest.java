package dreambooth4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PaletteTest {
  @TempDir Path folder;

  @Test
  void shouldKeepWantedColoursAndReplaceOthersByTheNearest() throws IOException {
    BufferedImage picture = new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < 64 * 64; i++) {
      int grey = i / 16;
      picture.setRGB(i % 64, i / 64, new Color(grey, grey, grey).getRGB());
    }
    Color rare = new Color(0x3CCF9F);
    picture.setRGB(5, 7, rare.getRGB());
    Path file = folder.resolve("chart.png");
    ImageIO.write(picture, "png", file.toFile());

    Palette.reduce(file, List.of(rare));

    BufferedImage reduced = ImageIO.read(file.toFile());
    assertThat(((IndexColorModel) reduced.getColorModel()).getMapSize()).isEqualTo(16);
    assertThat(new Color(reduced.getRGB(5, 7))).isEqualTo(rare);
    for (int i = 0; i < 64 * 64; i++) {
      int now = new Color(reduced.getRGB(i % 64, i / 64)).getRed();
      assertThat(Math.abs(now - i / 16)).as("pixel %d", i).isLessThan(80);
    }
  }
}
