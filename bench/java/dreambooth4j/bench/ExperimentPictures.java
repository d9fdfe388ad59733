package dreambooth4j.bench;

import dreambooth4j.data.Jpeg;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;

/**
 * What each cell's model draws of the class and of the subject, the same seeds everywhere, on one
 * sheet a subject: a row a cell.
 */
final class ExperimentPictures {
  /** Cells that are shown, and the base model first. */
  static final List<String> SHOWN =
      List.of(
          ExperimentPlan.UNTOUCHED,
          "none",
          "weight-0.15",
          "weight-0.4",
          "weight-1",
          "anchor",
          "anchor-images");

  /** The base model and two that were trained. */
  private static final int LEAST_ROWS = 3;

  private static final float QUALITY = 0.3f;
  private static final int LABEL = 150;
  private static final int GAP = 8;
  private static final int HEAD = 24;

  private final ExperimentPlan plan;
  private final Path work;

  ExperimentPictures(ExperimentPlan plan, Path work) {
    this.plan = plan;
    this.work = work;
  }

  /** Where what a cell's model draws of {@code what} lies, until a sheet is made of it. */
  static Path file(Path work, String subject, String cell, String what) {
    return work.resolve("pictures").resolve("%s-%s-%s.png".formatted(subject, cell, what));
  }

  /** Writes the sheet of a subject, of what is there; false where it would compare nothing. */
  boolean write(String subject, Path sheet) throws IOException {
    List<String> cells = new ArrayList<>();
    List<BufferedImage> left = new ArrayList<>();
    List<BufferedImage> right = new ArrayList<>();
    for (String cell : SHOWN) {
      BufferedImage ofClass = read(file(work, subject, cell, "class"));
      BufferedImage ofSubject = read(file(work, subject, cell, "subject"));
      if (ofClass != null && ofSubject != null) {
        cells.add(cell);
        left.add(ofClass);
        right.add(ofSubject);
      }
    }
    if (cells.size() < LEAST_ROWS) {
      return false;
    }
    int width = left.get(0).getWidth();
    int height = left.get(0).getHeight();
    BufferedImage all =
        new BufferedImage(
            LABEL + 2 * (width + GAP),
            HEAD + cells.size() * (height + GAP),
            BufferedImage.TYPE_INT_RGB);
    Graphics2D drawing = all.createGraphics();
    drawing.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    drawing.setColor(Color.WHITE);
    drawing.fillRect(0, 0, all.getWidth(), all.getHeight());
    drawing.setColor(Color.BLACK);
    drawing.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
    drawing.drawString(plan.prompt(subject, "class"), LABEL, HEAD - 7);
    drawing.drawString(plan.prompt(subject, "subject"), LABEL + width + GAP, HEAD - 7);
    for (int i = 0; i < cells.size(); i++) {
      int y = HEAD + i * (height + GAP);
      String cell = cells.get(i);
      String label = cell.equals(ExperimentPlan.UNTOUCHED) ? "base model" : plan.name(cell);
      drawing.drawString(label, GAP, y + height / 2);
      drawing.drawImage(left.get(i), LABEL, y, null);
      drawing.drawImage(right.get(i), LABEL + width + GAP, y, null);
    }
    drawing.dispose();
    Files.write(sheet, Jpeg.encode(all, QUALITY));
    return true;
  }

  private static @Nullable BufferedImage read(Path file) throws IOException {
    return Files.exists(file) ? ImageIO.read(file.toFile()) : null;
  }
}
