package dreambooth4j.prior;

import dreambooth4j.Problem;
import dreambooth4j.config.CaptionConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.Caption;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.prior.ReviewRow.Making;
import dreambooth4j.prior.ReviewRow.Place;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
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

  /** What takes an action back; {@code row} is where that shows. */
  private record Undo(String row, String said, Runnable action) {}

  /**
   * What an action did.
   *
   * @param row where it shows; null if at several places or none
   */
  public record Done(String said, @Nullable String row) {}

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
  private final Deque<Undo> undos = new ArrayDeque<>();
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
    return keep(row, List.of(file(image)), kept);
  }

  /** As {@link #keep}, all class images of a row. */
  public synchronized Done keepAll(String id, boolean kept) {
    ReviewRow row = row(id);
    return keep(row, images(row).stream().map(ClassImage::file).toList(), kept);
  }

  private Done keep(ReviewRow row, List<Path> files, boolean kept) {
    KeptImages marks = rows.kept(row.concept());
    List<Path> changed = files.stream().filter(file -> marks.has(file) != kept).toList();
    mark(row, changed, kept);
    if (!changed.isEmpty()) {
      remember(row.id(), kept ? "no longer kept" : "kept again", () -> mark(row, changed, !kept));
    }
    return new Done(kept ? "kept" : "no longer kept", row.id());
  }

  private void mark(ReviewRow row, List<Path> files, boolean kept) {
    rows.kept(row.concept()).mark(files, kept);
    ReviewRow now = row(row.id());
    for (Path file : files) {
      int at = now.indexOf(file);
      if (at >= 0) {
        Place place = now.places().get(at);
        now = now.with(at, new Place(place.image(), kept, place.making()));
      }
    }
    rows.put(now);
  }

  /**
   * Deletes a class image: it moves to a folder where it counts for nothing.
   *
   * @throws Problem if it was never shown, or cannot be moved
   */
  public synchronized Done delete(String image) {
    Path file = file(image);
    ReviewRow row = rows.rowOf(file);
    if (row == null) {
      return new Done("it was gone already", null);
    }
    int at = row.indexOf(file);
    Place place = row.places().get(at);
    DeletedImages deleted = DeletedImages.of(row.concept());
    boolean there = deleted.delete(file);
    take(row, at);
    if (!there) {
      return new Done("it was gone already", row.id());
    }
    remember(
        row.id(),
        "brought back",
        () -> {
          deleted.restore(file);
          put(row.id(), at, place.with(Making.NOT));
        });
    return new Done("deleted", row.id());
  }

  /** Takes an image out of its row; its place stays if the pool lacks one now. */
  private void take(ReviewRow row, int at) {
    ClassPool pool = row.picture().pool();
    Making then = row.places().get(at).making();
    boolean missed = rows.present(pool).size() <= rows.needed(pool) || then != Making.NOT;
    rows.put(missed ? row.with(at, Place.EMPTY.with(then)) : row.without(at));
  }

  private void put(String id, int at, Place place) {
    ReviewRow row = rows.row(id);
    if (row == null) {
      return;
    }
    boolean free = at < row.places().size() && row.places().get(at).equals(Place.EMPTY);
    rows.put(row.with(free ? at : row.firstEmpty(Making.NOT), place));
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
    return new Done("another one is being made", row.id());
  }

  /** Orders the class images that a row lacks. */
  public synchronized Done make(String id) {
    ReviewRow row = row(id);
    requireMade(row);
    return ordered(orders.addMissing(row), id);
  }

  /** Orders all class images that are missing. */
  public synchronized Done makeAll() {
    return ordered(List.copyOf(rows.all()).stream().mapToInt(orders::addMissing).sum(), null);
  }

  private Done ordered(int count, @Nullable String row) {
    notifyAll();
    return new Done(count == 0 ? "none is missing" : count + " are being made", row);
  }

  private void requireMade(ReviewRow row) {
    if (row.concept().classImages().unmatched()) {
      throw Problem.usage(
          "class images of %s are used as they lie there: none are made"
              .formatted(row.concept().classImages().dataDir()));
    }
    config.model().required();
  }

  /** Gives up the images that are ordered, that under way too. */
  public synchronized Done cancel() {
    cancelled = true;
    orders.giveUp();
    return new Done("nothing more is made", null);
  }

  /**
   * Writes a picture's caption into its text file.
   *
   * @param before what the page showed: if somebody changed it meanwhile, nothing is written
   * @throws Problem if the caption is none, or cannot be written
   */
  public synchronized Done caption(String id, String before, String caption) {
    ReviewRow row = row(id);
    CaptionConfig how = config.data().captions();
    String text = CaptionFile.checked(caption);
    Path root = row.concept().instanceDataDir();
    Path picture = row.picture().file();
    if (!Caption.source(root, picture, how).equals(before)) {
      rescan();
      throw Problem.data("somebody else changed this caption meanwhile: look at it again");
    }
    if (text.equals(before)) {
      return new Done("the caption is as it was", id);
    }
    CaptionFile file = CaptionFile.of(Caption.place(picture, how));
    file.write(text);
    try {
      rescan();
    } catch (Problem e) {
      file.restore();
      throw e;
    }
    remember(
        id,
        "the caption is as it was before",
        () -> {
          if (!file.holds(text)) {
            rescan();
            throw Problem.data("somebody else changed this caption meanwhile: it stays as it is");
          }
          file.restore();
          rescan();
        });
    return new Done("caption saved" + orphans(row), id);
  }

  /** What is to be said of class images that no picture has a use for since its caption changed. */
  private String orphans(ReviewRow before) {
    ClassPool pool = before.picture().pool();
    int count = images(before).size();
    boolean used = rows.all().stream().anyMatch(row -> row.picture().pool().equals(pool));
    if (used || count == 0) {
      return "";
    }
    return count == 1
        ? "; the class image of '%s' no longer counts, but stays in the folder"
            .formatted(pool.caption())
        : "; the %d class images of '%s' no longer count, but stay in the folder"
            .formatted(count, pool.caption());
  }

  /** Takes the last action back that can be. */
  public synchronized Done undo() {
    Undo last = undos.pollLast();
    if (last == null) {
      return new Done("there is nothing to undo", null);
    }
    last.action().run();
    return new Done("undone: " + last.said(), last.row());
  }

  private void remember(String row, String said, Runnable action) {
    undos.add(new Undo(row, said, action));
    if (undos.size() > MOST_UNDONE) {
      undos.removeFirst();
    }
  }

  private ReviewRow row(String id) {
    ReviewRow row = rows.row(id);
    if (row == null) {
      throw Problem.data("there is no such picture any more: load the page again");
    }
    return row;
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

  private static List<ClassImage> images(ReviewRow row) {
    return row.places().stream().map(Place::image).filter(Objects::nonNull).toList();
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
    ReviewRow shown = rows.rowOf(image.file());
    if (shown != null) { // the folders were looked through since it was written
      if (instead == null || row.indexOf(instead) < 0) {
        rescan();
        return;
      }
      rows.put(shown.without(shown.indexOf(image.file())));
      row = row(order.row());
    }
    int at = instead == null ? -1 : row.indexOf(instead);
    Place fresh = rows.place(order.concept(), image);
    rows.put(row.with(at < 0 ? row.firstEmpty(Making.UNDER_WAY) : at, fresh));
    if (at >= 0 && instead != null) {
      replaced(order, row.places().get(at), instead, image.file());
    }
  }

  private void replaced(ReviewOrders.Order order, Place before, Path old, Path fresh) {
    DeletedImages deleted = DeletedImages.of(order.concept());
    deleted.delete(old);
    remember(
        order.row(),
        "the one before is back",
        () -> {
          deleted.restore(old);
          deleted.delete(fresh);
          ReviewRow now = row(order.row());
          rows.put(now.with(now.indexOf(fresh), before.with(Making.NOT)));
        });
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
