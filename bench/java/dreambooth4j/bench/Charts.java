package dreambooth4j.bench;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.AnnotationLine;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.HorizontalBarChart;
import org.knowm.xchart.HorizontalBarChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.CategoryStyler;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * How pictures look: each in light and in dark, its series told apart by marker and dashes as well
 * as by colour.
 */
final class Charts {
  private static final int WIDTH = 900;
  private static final int DOTS_PER_INCH = 108; // three for two pixels of a page
  private static final Font FONT = new Font(Font.SANS_SERIF, Font.PLAIN, 13);

  /** Told apart by people who see fewer colours (Okabe and Ito); the second row on black. */
  private static final Color[] COLOURS = {
    new Color(0x0072B2),
    new Color(0xD55E00),
    new Color(0x007F5F),
    new Color(0xAA4C8C),
    new Color(0x8A6D00),
    new Color(0x333333),
    new Color(0x3A7CA5),
  };

  private static final Color[] ON_BLACK = {
    new Color(0x56B4E9),
    new Color(0xFF9A4D),
    new Color(0x3CCF9F),
    new Color(0xE39BC6),
    new Color(0xF0E442),
    new Color(0xDDDDDD),
    new Color(0x9CC9E6),
  };

  private static final Color GREY = new Color(0x808080);

  private static final Marker[] MARKERS = {
    SeriesMarkers.CIRCLE,
    SeriesMarkers.SQUARE,
    SeriesMarkers.TRIANGLE_UP,
    SeriesMarkers.DIAMOND,
    SeriesMarkers.TRIANGLE_DOWN,
    SeriesMarkers.CROSS,
    SeriesMarkers.PLUS,
  };

  private static final float[][] DASHES = {{1, 0}, {8, 4}, {2, 3}, {10, 3, 2, 3}, {5, 5}};

  private static final int MARKER = 9;
  private static final int HEIGHT = 440;

  /** Height of a bar and the space to the next, in pixels. */
  private static final int BAR = 52;

  private final Path folder;
  private final String prefix;

  /** Pictures go to {@code folder}, their names beginning with {@code prefix} and a hyphen. */
  Charts(Path folder, String prefix) {
    this.folder = folder;
    this.prefix = prefix;
  }

  /**
   * What is drawn in one marker, dash and colour.
   *
   * @param errors of each y, upwards and downwards; null for none
   */
  record Line(String name, List<Double> x, List<Double> y, @Nullable List<Double> errors) {}

  /** Bars of one colour, one in each group, with the intervals of those that have one. */
  record Bars(String name, List<Estimate> values) {}

  /** Groups of upright bars, a group above each name. The picture's name. */
  String groups(String name, String title, String x, String y, List<String> names, List<Bars> bars)
      throws IOException {
    return save(
        name,
        () -> {
          CategoryChart chart =
              new CategoryChartBuilder()
                  .width(WIDTH)
                  .height(HEIGHT)
                  .title(title)
                  .xAxisTitle(x)
                  .yAxisTitle(y)
                  .build();
          for (Bars each : bars) {
            // A bar without an interval has NaN there, which draws nothing.
            chart.addSeries(
                each.name,
                names,
                each.values.stream().map(Estimate::mean).toList(),
                each.values.stream().map(Estimate::half).toList());
          }
          chart.getStyler().setAvailableSpaceFill(0.8);
          chart.getStyler().setLegendPosition(LegendPosition.OutsideS);
          chart.getStyler().setLegendLayout(LegendLayout.Horizontal);
          return chart;
        });
  }

  /** A bar beside each name, the first on top, and a line at 1. The picture's name. */
  String bars(String name, String title, String x, List<String> names, List<Double> values)
      throws IOException {
    return save(
        name,
        () -> {
          HorizontalBarChart chart =
              new HorizontalBarChartBuilder()
                  .width(WIDTH)
                  .height(120 + BAR * names.size())
                  .title(title)
                  .xAxisTitle(x)
                  .build();
          chart.addSeries(x, values, names);
          chart.addAnnotation(new AnnotationLine(1, true, false));
          // Names closer together than the hint of the other axis are left out.
          chart.getStyler().setXAxisMin(0.0).setXAxisTickMarkSpacingHint(BAR - 12);
          chart.getStyler().setLegendVisible(false);
          return chart;
        });
  }

  /** Lines with a marker at each value. The picture's name. */
  String lines(String name, String title, String x, String y, List<Line> lines) throws IOException {
    return save(
        name,
        () -> {
          XYChart chart = chart(title, x, y);
          for (int i = 0; i < lines.size(); i++) {
            add(chart, lines.get(i)).setMarker(marker(i)).setLineStyle(dashed(i));
          }
          chart.getStyler().setXAxisMin(0.0).setYAxisMin(0.0);
          return chart;
        });
  }

  /** Thin lines with a marker at each value, and a broad one that sums them up. */
  String linesAndMean(String name, String title, String x, String y, List<Line> lines, Line mean)
      throws IOException {
    return save(
        name,
        () -> {
          XYChart chart = chart(title, x, y);
          add(chart, mean).setMarker(SeriesMarkers.NONE).setLineStyle(new BasicStroke(5));
          for (int i = 0; i < lines.size(); i++) {
            add(chart, lines.get(i)).setMarker(marker(i + 1)).setLineStyle(new BasicStroke(1));
          }
          chart.getStyler().setXAxisMin(0.0).setYAxisMin(0.0);
          return chart;
        });
  }

  /** Lines of many values, without markers. The picture's name. */
  String curves(String name, String title, String x, String y, List<Line> lines)
      throws IOException {
    return save(
        name,
        () -> {
          XYChart chart = chart(title, x, y);
          for (int i = 0; i < lines.size(); i++) {
            add(chart, lines.get(i)).setMarker(SeriesMarkers.NONE).setLineStyle(dashed(i));
          }
          chart.getStyler().setXAxisMin(0.0).setYAxisMin(0.0);
          return chart;
        });
  }

  /** Points and the line that they should lie under; both axes logarithmic. The picture's name. */
  String underARoof(String name, String title, String x, String y, List<Line> points, Line roof)
      throws IOException {
    return save(
        name,
        () -> {
          XYChart chart = chart(title, x, y);
          for (int i = 0; i < points.size(); i++) {
            add(chart, points.get(i))
                .setXYSeriesRenderStyle(XYSeriesRenderStyle.Scatter)
                .setMarker(marker(i));
          }
          add(chart, roof).setMarker(SeriesMarkers.NONE).setLineStyle(dashed(0)).setLineColor(GREY);
          chart.getStyler().setXAxisLogarithmic(true).setYAxisLogarithmic(true);
          return chart;
        });
  }

  private static XYChart chart(String title, String x, String y) {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle(x)
            .yAxisTitle(y)
            .build();
    chart.getStyler().setLegendPosition(LegendPosition.OutsideE);
    return chart;
  }

  private static XYSeries add(XYChart chart, Line line) {
    return line.errors == null
        ? chart.addSeries(line.name, line.x, line.y)
        : chart.addSeries(line.name, line.x, line.y, line.errors);
  }

  private static Marker marker(int i) {
    return MARKERS[i % MARKERS.length];
  }

  private static BasicStroke dashed(int i) {
    float[] dashes = DASHES[i % DASHES.length];
    return new BasicStroke(2, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, dashes, 0);
  }

  /** Saves {@code name.png} and {@code name-dark.png}. */
  private String save(String name, Supplier<? extends Chart<? extends AxesChartStyler, ?>> drawing)
      throws IOException {
    String whole = prefix + "-" + name;
    for (boolean dark : new boolean[] {false, true}) {
      var chart = drawing.get();
      style(chart.getStyler(), dark);
      Path file = folder.resolve(whole + (dark ? "-dark" : "") + ".png");
      BitmapEncoder.saveBitmapWithDPI(chart, file.toString(), BitmapFormat.PNG, DOTS_PER_INCH);
      Palette.reduce(file, List.of(dark ? ON_BLACK : COLOURS));
    }
    return whole;
  }

  private static void style(AxesChartStyler styler, boolean dark) {
    Color paper = dark ? new Color(0x1B1D20) : Color.WHITE;
    Color ink = dark ? new Color(0xE6E6E6) : new Color(0x222222);
    Color grid = dark ? new Color(0x3A3D42) : new Color(0xDDDDDD);
    Color[] colours = dark ? ON_BLACK : COLOURS;
    styler.setSeriesColors(colours);
    styler.setBaseFont(FONT).setChartTitleFont(FONT.deriveFont(Font.BOLD, 15f));
    styler.setAxisTitleFont(FONT).setAxisTickLabelsFont(FONT.deriveFont(12f));
    styler.setLegendFont(FONT.deriveFont(12f));
    styler.setChartBackgroundColor(paper).setPlotBackgroundColor(paper);
    styler.setLegendBackgroundColor(paper).setLegendBorderColor(paper);
    styler.setChartFontColor(ink).setPlotBorderColor(grid);
    styler.setXAxisTitleColor(ink).setYAxisTitleColor(ink);
    styler.setYAxisGroupTitleColor(0, ink);
    styler.setAxisTickLabelsColor(ink).setXAxisTickLabelsColor(ink).setYAxisTickLabelsColor(ink);
    styler.setAxisTickMarksColor(grid).setPlotGridLinesColor(grid);
    styler.setPlotGridLinesStroke(new BasicStroke(1)).setErrorBarsColorSeriesColor(true);
    if (styler
        instanceof CategoryStyler) { // in the colour of its bar half of an interval is unseen
      styler.setErrorBarsColorSeriesColor(false).setErrorBarsColor(ink);
    }
    styler.setAnnotationLineColor(ink).setMarkerSize(MARKER);
  }
}
