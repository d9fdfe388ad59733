package dreambooth4j.page;

import dreambooth4j.data.Thumbnail;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The page of a run that goes, as a browser asks for it again and again. It reads the run's folder,
 * and of the metrics what is new; nothing is read or computed unless somebody asks.
 */
public final class LivePage {
  /** A picture as the page asks for it. */
  private record Asked(Path file, int side) {}

  private final Path folder;
  private final Metrics metrics;
  private final Map<Asked, String> names = new HashMap<>();
  private final Map<String, Asked> pictures = new HashMap<>();
  private volatile boolean begun;

  /** The page of a run that will write into this folder; until it begins, it says so. */
  public LivePage(Path folder) {
    this.folder = folder;
    this.metrics = new Metrics(folder);
  }

  /** The run has begun: what the folder holds is its own from now on. */
  public void begin() {
    begun = true;
  }

  /**
   * The page as HTML, with links to what is served beside it.
   *
   * @throws dreambooth4j.Problem where the folder cannot be read
   */
  public synchronized String html() {
    return begun
        ? new RunPage(read(), this::source, true).html()
        : Html.template("waiting.html").execute(Map.of("folder", folder.toString()));
  }

  /**
   * What the page's script draws, as JSON; null if there is nothing new.
   *
   * @param since the version that the page has
   * @throws dreambooth4j.Problem where the folder cannot be read
   */
  public synchronized @Nullable String data(String since) {
    if (!begun) {
      return null;
    }
    Run run = read();
    return PageData.version(run).equals(since) ? null : Html.json(PageData.of(run, this::source));
  }

  /**
   * A picture of the page; null where there is none of this name.
   *
   * @throws dreambooth4j.Problem if it cannot be read
   */
  public @Nullable Thumbnail picture(String name) {
    Asked asked;
    synchronized (this) {
      asked = pictures.get(name);
    }
    return asked == null ? null : Thumbnail.of(asked.file, asked.side);
  }

  /** A file that the page and its script ask for, beside the data and the pictures. */
  public static @Nullable String file(String name) {
    return switch (name) {
      case "page.css" -> Html.chartStyle() + Html.resource("page.css");
      case "page.js" -> Html.resource("page.js");
      case "uplot.js" -> Html.chartScript();
      default -> null;
    };
  }

  private Run read() {
    metrics.update();
    return new Run(folder, RunRecord.read(folder), metrics, Samples.in(folder));
  }

  private String source(Path picture, int side) {
    Asked asked = new Asked(picture, side);
    String name = names.computeIfAbsent(asked, each -> Integer.toString(names.size()));
    pictures.put(name, asked);
    return "pictures/" + name;
  }
}
