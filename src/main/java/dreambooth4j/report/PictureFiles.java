package dreambooth4j.report;

import dreambooth4j.Problem;
import dreambooth4j.data.Grid;
import dreambooth4j.data.Label;
import dreambooth4j.data.Pixels;
import dreambooth4j.data.Png;
import dreambooth4j.weights.StagedFiles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/** Pictures that were drawn as PNG files that say how: those asked for, and a run's samples. */
public final class PictureFiles {
  private static final String PNG = ".png";
  private static final Pattern OTHER_KINDS =
      Pattern.compile("(?i).*\\.(jpe?g|webp|gif|bmp|tiff?|avif)");

  /** Samples narrower than this are shown enlarged, each pixel a square. */
  private static final int LEAST_SAMPLE_WIDTH = 128;

  private PictureFiles() {}

  /**
   * Where pictures go that are asked for under a name.
   *
   * @param output a PNG file, or a folder, which need not be there: the file in it is named for the
   *     seed
   * @throws Problem if the name says that it is a file of another kind
   */
  public static Path place(Path output, long seed) {
    String name = output.toString();
    if (!Files.isDirectory(output) && name.toLowerCase(Locale.ROOT).endsWith(PNG)) {
      return output;
    }
    if (OTHER_KINDS.matcher(name).matches()) {
      throw Problem.usage(
          "%s: pictures are written as PNG: give a file that ends in .png, or a folder"
              .formatted(output));
    }
    return output.resolve(seed + PNG);
  }

  /**
   * Writes pictures, all or none: one picture to the file; of several, their grid to the file and
   * the single ones beside it, {@code NAME-1.png} and so on.
   *
   * @return the files written
   * @throws Problem if one cannot be written
   */
  public static List<Path> write(Path file, List<Pixels> pictures, PictureParameters how) {
    List<Path> written = new ArrayList<>();
    Pixels first = pictures.get(0);
    try (StagedFiles files = new StagedFiles()) {
      files.add(file, Png.encode(Grid.of(pictures), how.ofAll(first, pictures.size())));
      written.add(file);
      for (int i = 0; pictures.size() > 1 && i < pictures.size(); i++) {
        String name = String.valueOf(file.getFileName());
        String stem = name.substring(0, name.length() - PNG.length());
        Path single = file.resolveSibling(stem + "-" + (i + 1) + PNG);
        files.add(
            single, Png.encode(pictures.get(i), how.ofOne(pictures.get(i), pictures.size(), i)));
        written.add(single);
      }
      files.commit();
    }
    return written;
  }

  /** A run's samples of one prompt in a row, with step, prompt and seeds above them, as PNG. */
  static byte[] sheet(List<Pixels> pictures, PictureParameters how) {
    Pixels first = pictures.get(0);
    int factor = Math.max(1, (LEAST_SAMPLE_WIDTH + first.width() - 1) / first.width());
    List<Pixels> shown = pictures.stream().map(each -> each.enlarged(factor)).toList();
    String seeds =
        pictures.size() == 1
            ? "seed " + how.seed()
            : "seeds %d to %d".formatted(how.seed(), how.seed() + pictures.size() - 1);
    String label = "step %d, %s: %s".formatted(how.step(), seeds, how.request().prompt());
    return Png.encode(
        Label.above(Grid.of(shown, shown.size()), label), how.ofAll(first, pictures.size()));
  }
}
