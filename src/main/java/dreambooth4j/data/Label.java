package dreambooth4j.data;

import java.awt.Color;
import java.awt.Font;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.List;

/** Words above a picture, on white. */
public final class Label {
  /** Pixels that words need at least. */
  private static final int LEAST_WIDTH = 256;

  private static final int MARGIN = 6;
  private static final int MOST_LINES = 6;

  private Label() {}

  /** The picture below its label; as it is where the system has no fonts for Java. */
  public static Pixels above(Pixels picture, String text) {
    try {
      return drawn(picture, text);
    } catch (RuntimeException | LinkageError | InternalError e) {
      return picture; // an image without fontconfig
    }
  }

  private static Pixels drawn(Pixels picture, String text) {
    int width = Math.max(LEAST_WIDTH, picture.width());
    Font font = new Font(Font.SANS_SERIF, Font.PLAIN, Math.max(13, Math.min(20, width / 60)));
    FontMetrics metrics = metrics(font);
    List<String> lines = lines(text, metrics, width - 2 * MARGIN);
    int top = lines.size() * metrics.getHeight() + 2 * MARGIN;
    BufferedImage sheet =
        new BufferedImage(width, top + picture.height(), BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = sheet.createGraphics();
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, sheet.getWidth(), sheet.getHeight());
    graphics.setColor(Color.BLACK);
    graphics.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    graphics.setFont(font);
    for (int i = 0; i < lines.size(); i++) {
      graphics.drawString(
          lines.get(i), MARGIN, MARGIN + i * metrics.getHeight() + metrics.getAscent());
    }
    graphics.drawImage(Rgb.image(picture), 0, top, null);
    graphics.dispose();
    return Rgb.of(sheet);
  }

  private static FontMetrics metrics(Font font) {
    Graphics2D graphics = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB).createGraphics();
    try {
      return graphics.getFontMetrics(font);
    } finally {
      graphics.dispose();
    }
  }

  private static List<String> lines(String text, FontMetrics metrics, int width) {
    List<String> lines = new ArrayList<>();
    String line = "";
    for (String word : text.strip().split("\\s+", -1)) {
      String longer = line.isEmpty() ? word : line + " " + word;
      if (!line.isEmpty() && metrics.stringWidth(longer) > width) {
        if (lines.size() == MOST_LINES - 1) {
          lines.add(line + " …");
          return lines;
        }
        lines.add(line);
        line = word;
      } else {
        line = longer;
      }
    }
    lines.add(line);
    return lines;
  }
}
