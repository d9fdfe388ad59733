package dreambooth4j.review;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.review.ReviewRow.Making;
import dreambooth4j.review.ReviewRow.Place;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The class images that a review waits for, first come, first made, and how the rows show them. For
 * one thread at a time.
 */
final class ReviewOrders {
  /**
   * A class image to be made.
   *
   * @param instead the image that it takes the place of; null where one is missing
   */
  record Order(String row, ConceptConfig concept, ClassPool pool, @Nullable Path instead) {}

  private final ReviewRows rows;
  private final Deque<Order> waiting = new ArrayDeque<>();
  private final List<Order> underWay = new ArrayList<>();

  ReviewOrders(ReviewRows rows) {
    this.rows = rows;
  }

  /** Orders one for a row. */
  void add(ReviewRow row, @Nullable Path instead) {
    Order order = new Order(row.id(), row.concept(), row.picture().pool(), instead);
    waiting.add(order);
    mark(order, Making.NOT, Making.WAITS);
  }

  /** Orders those that a row lacks; how many that are. */
  int addMissing(ReviewRow row) {
    int count = 0;
    for (Place place : row.places()) {
      if (place.equals(Place.EMPTY)) {
        add(row, null);
        count++;
      }
    }
    return count;
  }

  /** Whether none waits. */
  boolean areNone() {
    return waiting.isEmpty();
  }

  /** How many there are, with those under way. */
  int count() {
    return waiting.size() + underWay.size();
  }

  /** Begins with the first and those after it of the same pool: what the generator is to make. */
  ClassImagePlan begin() {
    Order first = waiting.element();
    while (!waiting.isEmpty() && waiting.element().pool().equals(first.pool())) {
      underWay.add(waiting.remove());
    }
    underWay.forEach(order -> mark(order, Making.WAITS, Making.UNDER_WAY));
    List<ClassImage> present = rows.present(first.pool());
    int needed = present.size() + underWay.size();
    return new ClassImagePlan(
        List.of(new ClassImagePlan.Need(first.concept(), first.pool(), needed, present)), Map.of());
  }

  /** One of those under way is made: which. */
  Order made() {
    return underWay.remove(0);
  }

  /** Nothing is under way any more. */
  void end() {
    underWay.forEach(order -> mark(order, Making.UNDER_WAY, Making.NOT));
    underWay.clear();
  }

  /** Forgets those that wait. */
  void giveUp() {
    waiting.forEach(order -> mark(order, Making.WAITS, Making.NOT));
    waiting.clear();
  }

  /**
   * Shows them in rows that were read anew; those whose row asks for something else are dropped.
   */
  void show() {
    waiting.removeIf(order -> !fits(order));
    waiting.forEach(order -> mark(order, Making.NOT, Making.WAITS));
    underWay.stream()
        .filter(this::fits)
        .forEach(order -> mark(order, Making.NOT, Making.UNDER_WAY));
  }

  /** Drops those that wait for an empty place, where an undone deletion has taken it. */
  void dropThoseWithoutPlace() {
    Map<String, Long> free = new HashMap<>();
    waiting.removeIf(
        order -> {
          if (order.instead() != null) {
            return false;
          }
          long left = free.computeIfAbsent(order.row(), this::placesThatWait);
          free.put(order.row(), left - 1);
          return left <= 0;
        });
  }

  private long placesThatWait(String id) {
    ReviewRow row = rows.row(id);
    Place waits = Place.EMPTY.with(Making.WAITS);
    return row == null ? 0 : row.places().stream().filter(waits::equals).count();
  }

  /** Whether the row of an order still has that pool. */
  boolean fits(Order order) {
    ReviewRow row = rows.row(order.row());
    return row != null && row.picture().pool().equals(order.pool());
  }

  /** Shows what becomes of an order, at its image or at an empty place that shows what was. */
  private void mark(Order order, Making before, Making now) {
    ReviewRow row = rows.row(order.row());
    if (row == null) {
      return;
    }
    int image = order.instead() == null ? -1 : row.indexOf(order.instead());
    int at = image >= 0 ? image : row.firstEmpty(before);
    if (at >= 0) {
      rows.put(row.with(at, row.places().get(at).with(now)));
    }
  }
}
