package dreambooth4j.review;

import dreambooth4j.Problem;
import dreambooth4j.config.CaptionConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.prior.DeletedImages;
import dreambooth4j.review.ReviewRow.Making;
import dreambooth4j.review.ReviewRow.Place;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What somebody does to the class images of a run while looking at them beside the instance
 * pictures. What an action changes is on disk when its method returns, but for images that are to
 * be made: those are ordered, and a {@link ReviewMaker} makes them. For any number of threads.
 */
public final class Review {
  /** Longest caption that a page may write, in characters. */
  public static final int LONGEST_CAPTION = CaptionFile.LONGEST;

  private static final int MOST_UNDONE = 500;

  /**
   * All rows at a glance.
   *
   * @param waiting images ordered, that under way among them
   * @param step sampler steps done of those under way
   * @param making what the maker is at; empty if at nothing
   */
  public record Summary(
      int rows,
      int images,
      int kept,
      int missing,
      int waiting,
      String making,
      int step,
      int steps) {}

  /**
   * What changed after a version.
   *
   * @param reordered whether there are other rows now, so that all are to be read anew
   * @param problem why an image was not made; null if nothing went wrong
   */
  public record Changes(
      long version,
      boolean reordered,
      List<ReviewRow> rows,
      Summary summary,
      @Nullable String problem) {}

  private final Config config;
  private final ReviewRows rows;
  private final Deque<ReviewAction> undos = new ArrayDeque<>();
  private final ReviewOrders orders;
  private String making = "";
  private int step;
  private int steps;
  private boolean cancelled;
  private boolean closed;
  private @Nullable String problem;
  private long problemVersion;

  /** A review of these concepts; {@code plan} is theirs. */
  public Review(Config config, List<Concept> concepts, ClassImagePlan plan) {
    this.config = config;
    this.rows = new ReviewRows(config);
    rows.show(concepts, plan);
    this.orders = new ReviewOrders(rows);
  }

  /** Some rows, in the order of the pictures. */
  public synchronized List<ReviewRow> rows(int from, int count) {
    return rows.all().stream().skip(from).limit(count).toList();
  }

  /** What changed after a version of before. */
  public synchronized Changes changes(long since) {
    return new Changes(
        rows.version(),
        rows.order() > since,
        rows.changedAfter(since),
        summary(),
        problemVersion > since ? problem : null);
  }

  /** The name of a picture of a row. */
  public synchronized String id(Path picture) {
    return rows.id(picture);
  }

  /** The picture of that name; null if the name was never given. */
  public synchronized @Nullable Path picture(String id) {
    return rows.picture(id);
  }

  private Summary summary() {
    List<Place> places = rows.all().stream().flatMap(row -> row.places().stream()).toList();
    int images = (int) places.stream().filter(place -> place.image() != null).count();
    return new Summary(
        rows.all().size(),
        images,
        (int) places.stream().filter(Place::kept).count(),
        places.size() - images,
        orders.count(),
        making,
        step,
        steps);
  }

  /** Looks through the folders again, for what others did to them. */
  public synchronized void rescan() {
    rows.scan();
    orders.show();
  }

  /**
   * Marks a class image as looked at and kept, or takes the mark away.
   *
   * @throws Problem if there is no such image, or the mark cannot be written
   */
  public synchronized Done keep(String image, boolean kept) {
    ReviewRow row = rowOf(image);
    return perform(new KeepImages(rows, row, List.of(file(image)), kept));
  }

  /** As {@link #keep}, all class images of a row. */
  public synchronized Done keepAll(String id, boolean kept) {
    ReviewRow row = rows.required(id);
    List<Path> files = row.images().stream().map(ClassImage::file).toList();
    return perform(new KeepImages(rows, row, files, kept));
  }

  /**
   * Deletes a class image: it moves to a folder where it counts for nothing.
   *
   * @throws Problem if it was never shown, or cannot be moved
   */
  public synchronized Done delete(String image) {
    Path file = file(image);
    ReviewRow row = rows.rowOf(file);
    return row == null
        ? new Done(DeleteImage.GONE, null)
        : perform(new DeleteImage(rows, row, file));
  }

  /**
   * Orders another class image, from another seed; the one that is there is deleted once the other
   * is on disk.
   *
   * @throws Problem if there is no such image, or none are made for its folder
   */
  public synchronized Done again(String image) {
    ReviewRow row = rowOf(image);
    Path file = file(image);
    requireMade(row);
    Place place = row.places().get(row.indexOf(file));
    if (place.making() == Making.NOT) {
      orders.add(row, file);
      notifyAll();
    }
    return new Done("a new class image is being made", row.id());
  }

  /** Orders the class images that a row lacks. */
  public synchronized Done make(String id) {
    ReviewRow row = rows.required(id);
    requireMade(row);
    return ordered(orders.addMissing(row), id);
  }

  /** Orders all class images that are missing. */
  public synchronized Done makeAll() {
    return ordered(List.copyOf(rows.all()).stream().mapToInt(orders::addMissing).sum(), null);
  }

  private Done ordered(int count, @Nullable String row) {
    notifyAll();
    return new Done(count == 0 ? "no class image is missing" : count + " are being made", row);
  }

  private void requireMade(ReviewRow row) {
    if (row.concept().classImages().unmatched()) {
      throw Problem.usage(
          "class images of %s are your own (disable_class_matching: true): none are made for it"
              .formatted(row.concept().classImages().dataDir()));
    }
    config.model().required();
  }

  /** Gives up the images that are ordered, that under way too. */
  public synchronized Done cancel() {
    cancelled = true;
    orders.giveUp();
    return new Done("stopped: the class images still to make are not made", null);
  }

  /**
   * Writes a picture's caption into its text file.
   *
   * @param before what the page showed: if somebody changed it meanwhile, nothing is written
   * @throws Problem if the caption is none, or cannot be written
   */
  public synchronized Done caption(String id, String before, String caption) {
    ReviewRow row = rows.required(id);
    CaptionConfig how = config.data().captions();
    return perform(new EditCaption(rows, row, how, before, caption, this::rescan));
  }

  /** Takes the last action back that can be. */
  public synchronized Done undo() {
    ReviewAction last = undos.pollLast();
    if (last == null) {
      return new Done("there is nothing to undo", null);
    }
    Done done = last.undo();
    orders.dropThoseWithoutPlace();
    return new Done("undone: " + done.said(), done.row());
  }

  private Done perform(ReviewAction action) {
    Done done = action.apply();
    if (action.changed()) {
      undos.add(action);
      if (undos.size() > MOST_UNDONE) {
        undos.removeFirst();
      }
    }
    return done;
  }

  private ReviewRow rowOf(String image) {
    ReviewRow row = rows.rowOf(file(image));
    if (row == null) {
      throw Problem.data("this class image is gone: load the page again");
    }
    return row;
  }

  private Path file(String image) {
    Path file = rows.picture(image);
    if (file == null) {
      throw Problem.data("there is no such class image");
    }
    return file;
  }

  /**
   * Waits for orders: the first, and those after it that can be made with it.
   *
   * @return what is to be made; null once closed
   */
  synchronized @Nullable ClassImagePlan take() throws InterruptedException {
    while (orders.areNone() && !closed) {
      wait();
    }
    cancelled = false;
    return closed ? null : orders.begin();
  }

  /** What the maker is at, for the summary. */
  synchronized void at(String what, int done, int of) {
    making = what;
    step = done;
    steps = of;
  }

  /** One of those under way is on disk: it takes its place, and what was there before goes. */
  synchronized void made(ClassImage image) {
    ReviewOrders.Order order = orders.made();
    ReviewRow row = rows.row(order.row());
    if (row == null || !orders.fits(order)) {
      return; // its caption changed meanwhile
    }
    Path instead = order.instead();
    boolean replaces = instead != null && row.indexOf(instead) >= 0;
    ReviewRow shown = rows.rowOf(image.file()); // if the folders were looked through meanwhile
    int others = rows.present(order.pool()).size() - (shown == null ? 0 : 1);
    if (instead == null && others >= rows.needed(order.pool())) {
      // The deletion that left its place was undone.
      DeletedImages.of(order.concept()).delete(image.file());
      if (shown != null) {
        rescan();
      }
      return;
    }
    if (!replaces) {
      filled(order.pool(), image.file());
    }
    if (shown != null) {
      if (!replaces) {
        rescan();
        return;
      }
      rows.put(shown.without(shown.indexOf(image.file())));
      row = rows.required(order.row());
    }
    if (replaces && instead != null) {
      perform(new ReplaceImage(rows, row, instead, image));
    } else {
      rows.put(row.with(row.firstEmpty(Making.UNDER_WAY), rows.place(order.concept(), image)));
    }
  }

  private void filled(ClassPool pool, Path image) {
    for (ReviewAction action : undos) {
      if (action instanceof DeleteImage deletion && deletion.filled(pool, image)) {
        return;
      }
    }
  }

  /** All that was under way is made or given up, or failed: then what waits is given up too. */
  synchronized void ended(@Nullable String reason) {
    orders.end();
    at("", 0, 0);
    if (reason != null) {
      orders.giveUp();
      problem = reason;
      problemVersion = rows.nextVersion();
    }
  }

  /** Whether what is under way is to be given up. */
  synchronized boolean stopped() {
    return cancelled || closed;
  }

  /** Lets the maker go. */
  synchronized void close() {
    closed = true;
    notifyAll();
  }
}
