package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class LikenessTest {
  /** Soft blobs of the seed's colours and places. */
  private static Pixels scene(int seed, int width, int height) {
    byte[] rgb = new byte[width * height * Pixels.CHANNELS];
    double[] draws = new Random(seed).doubles(24).toArray();
    int to = 0;
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        for (int c = 0; c < Pixels.CHANNELS; c++) {
          double value = 40 + 100 * draws[c];
          for (int blob = 0; blob < 4; blob++) {
            double dx = (double) x / width - draws[3 + blob * 5];
            double dy = (double) y / height - draws[4 + blob * 5];
            value += 110 * (draws[5 + blob * 5 + c] - 0.4) * Math.exp(-12 * (dx * dx + dy * dy));
          }
          rgb[to++] = (byte) Math.max(0, Math.min(255, Math.round(value)));
        }
      }
    }
    return new Pixels(width, height, rgb);
  }

  private static Pixels changed(Pixels picture, int noise, int brighter) {
    Random random = new Random(1);
    byte[] rgb = picture.rgb().clone();
    for (int i = 0; i < rgb.length; i++) {
      int value = (rgb[i] & 0xFF) + random.nextInt(2 * noise + 1) - noise + brighter;
      rgb[i] = (byte) Math.max(0, Math.min(255, value));
    }
    return new Pixels(picture.width(), picture.height(), rgb);
  }

  @Test
  void shouldKnowCopiesThatWereScaledCompressedOrCroppedALittle() {
    for (int seed = 0; seed < 20; seed++) {
      Pixels scene = scene(seed, 160, 120);
      Likeness original = Likeness.of(scene);
      assertThat(original.isNear(Likeness.of(Resample.LANCZOS.scale(scene, 63, 47)))).isTrue();
      assertThat(original.isNear(Likeness.of(changed(scene, 6, 0)))).isTrue();
      assertThat(original.isNear(Likeness.of(changed(scene, 0, 5)))).isTrue();
      assertThat(original.isNear(Likeness.of(scene.crop(1, 1, 158, 118)))).isTrue();
    }
  }

  @Test
  void shouldTellDifferentPicturesApart() {
    List<Likeness> scenes = new ArrayList<>();
    for (int seed = 0; seed < 60; seed++) {
      scenes.add(Likeness.of(scene(seed, 80, 60)));
    }
    for (int i = 0; i < scenes.size(); i++) {
      for (int j = 0; j < i; j++) {
        assertThat(scenes.get(i).isNear(scenes.get(j))).as("%d and %d", i, j).isFalse();
      }
    }
  }

  @Test
  void shouldTellTheSameShapeInOtherColoursApart() {
    byte[] red = new byte[30 * 30 * Pixels.CHANNELS];
    byte[] green = red.clone();
    for (int i = 0; i < red.length; i += Pixels.CHANNELS) {
      red[i] = (byte) 200;
      green[i + 1] = (byte) 200;
    }
    Likeness one = Likeness.of(new Pixels(30, 30, red));
    Likeness other = Likeness.of(new Pixels(30, 30, green));
    assertThat(one.across() | one.down() | other.across() | other.down()).isZero();
    assertThat(one.isNear(other)).isFalse();
  }
}
