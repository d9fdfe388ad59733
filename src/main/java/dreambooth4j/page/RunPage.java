package dreambooth4j.page;

import com.samskivert.mustache.Template;
import dreambooth4j.weights.StagedFiles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The page of a run: {@code report.html}, a Mustache template with style, script, charts' library,
 * numbers and pictures inside. The template escapes all that it is given, and a content security
 * policy lets nothing run or load but what we put there.
 */
public final class RunPage {
  /** Its name in a run's folder. */
  public static final String FILE = "report.html";

  private static final Template TEMPLATE = Html.template("run.html");
  private static final int CLASS_IMAGE_SIDE = 160;

  private final Run run;
  private final Pictures pictures;
  private final boolean live;
  private final PageData data;

  /** A class image as the template sees it. */
  record Tile(String source, String prompt) {}

  /** Settings under one heading. */
  record Group(String heading, List<Row> rows) {}

  /** A setting; {@code where} is short, {@code origin} whole. */
  record Row(String key, String value, String where, String origin) {
    boolean given() {
      return !origin.equals("default");
    }
  }

  RunPage(Run run, Pictures pictures, boolean live) {
    this.run = run;
    this.pictures = pictures;
    this.live = live;
    this.data = PageData.of(run, pictures);
  }

  /**
   * Writes the page of a run into its folder, whole or not at all.
   *
   * @return the file
   * @throws dreambooth4j.Problem where there is no run, or the page cannot be written
   */
  public static Path write(Path folder) {
    String html = new RunPage(Run.read(folder), new Pictures.Inside(), false).html();
    Path file = folder.resolve(FILE);
    StagedFiles.write(file, html.getBytes(StandardCharsets.UTF_8));
    return file;
  }

  String html() {
    return TEMPLATE.execute(this);
  }

  // What the template sees.

  RunRecord record() {
    return run.record();
  }

  String folder() {
    return run.folder().toAbsolutePath().normalize().toString();
  }

  boolean live() {
    return live;
  }

  String state() {
    return data.state();
  }

  String json() {
    return Html.json(data);
  }

  String style() {
    return style(live);
  }

  static String style(boolean live) {
    return live ? "" : Html.chartStyle() + Html.resource("page.css");
  }

  String library() {
    return live ? "" : Html.chartScript();
  }

  String script() {
    return live ? "" : Html.resource("page.js");
  }

  String policy() {
    return Html.policy(new String[] {style()}, new String[] {library(), script()});
  }

  List<Tile> classImages() {
    List<Tile> tiles = new ArrayList<>();
    for (RunRecord.Shown each : run.record().classImages()) {
      Path file = run.file(each.file());
      String source = file == null ? null : pictures.source(file, CLASS_IMAGE_SIDE);
      if (source != null) {
        tiles.add(new Tile(source, each.prompt()));
      }
    }
    return tiles;
  }

  int moreClassImages() {
    return run.record().moreClassImages();
  }

  boolean hasClassImages() {
    return !run.record().classImages().isEmpty();
  }

  /** How many pictures the page has no room for, or that cannot be read; after all others. */
  int leftOut() {
    return pictures.leftOut();
  }

  List<Group> groups() {
    Map<String, List<Row>> groups = new LinkedHashMap<>();
    for (RunRecord.Value each : run.record().settings()) {
      String heading = each.concept().isEmpty() ? each.group() : "Concept " + each.concept();
      groups
          .computeIfAbsent(heading, name -> new ArrayList<>())
          .add(new Row(each.key(), each.value(), shortened(each.origin()), each.origin()));
    }
    return groups.entrySet().stream().map(e -> new Group(e.getKey(), e.getValue())).toList();
  }

  /** The file's name and line, without its folders. */
  private static String shortened(String origin) {
    return origin.startsWith("--") ? origin : origin.replaceFirst("^.*[/\\\\]", "");
  }
}
