package dreambooth4j.review;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.Picture;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * An instance picture beside class images of its pool. Pictures that share a pool share out its
 * images, so that each is seen once.
 *
 * @param id names the row for as long as a review lasts
 * @param picture with one of its wordings
 * @param caption as it was written
 * @param sharing how many pictures have this pool
 */
public record ReviewRow(
    String id,
    ConceptConfig concept,
    Picture picture,
    String caption,
    int sharing,
    List<Place> places) {
  /** Whether a class image is being made. */
  public enum Making {
    /** It is not. */
    NOT,
    /** When those before it are made. */
    WAITS,
    /** Now. */
    UNDER_WAY
  }

  /**
   * A class image, or the place of a missing one.
   *
   * @param kept whether somebody looked at it and kept it
   * @param making whether one is being made for this place
   */
  public record Place(@Nullable ClassImage image, boolean kept, Making making) {
    static final Place EMPTY = new Place(null, false, Making.NOT);

    Place with(Making now) {
      return new Place(image, kept, now);
    }

    boolean holds(@Nullable Path file) {
      return image != null && image.file().equals(file);
    }
  }

  /** Class images that are missing here. */
  public int missing() {
    return (int) places.stream().filter(place -> place.image() == null).count();
  }

  /** The class images that are there. */
  List<ClassImage> images() {
    return places.stream().map(Place::image).filter(Objects::nonNull).toList();
  }

  /** Where the class image lies; −1 if it is not here. */
  int indexOf(Path file) {
    for (int i = 0; i < places.size(); i++) {
      if (places.get(i).holds(file)) {
        return i;
      }
    }
    return -1;
  }

  /** The first place without an image that is made like this; −1 if there is none. */
  int firstEmpty(Making making) {
    return places.indexOf(Place.EMPTY.with(making));
  }

  /** The row with another place at an index, or one more at its end. */
  ReviewRow with(int index, Place place) {
    List<Place> all = new ArrayList<>(places);
    if (index < 0 || index >= all.size()) {
      all.add(place);
    } else {
      all.set(index, place);
    }
    return with(all);
  }

  /** The row without one of its places. */
  ReviewRow without(int index) {
    List<Place> all = new ArrayList<>(places);
    all.remove(index);
    return with(all);
  }

  private ReviewRow with(List<Place> all) {
    return new ReviewRow(id, concept, picture, caption, sharing, List.copyOf(all));
  }
}
