package dreambooth4j.page;

import dreambooth4j.Problem;
import dreambooth4j.data.Thumbnail;
import java.nio.file.Path;
import java.util.Base64;
import org.jspecify.annotations.Nullable;

/** Where a page finds its pictures. */
interface Pictures {
  /**
   * What the page shows a picture by; null leaves it out.
   *
   * @param side its longer side is at most so long there, in pixels
   */
  @Nullable String source(Path picture, int side);

  /** How many were left out. */
  default int leftOut() {
    return 0;
  }

  /** Pictures inside the page, made small, until they take too much of it together. */
  final class Inside implements Pictures {
    /** What a page may weigh and still open at once, and be sent to somebody. */
    private static final int MOST_BYTES = 16 << 20;

    private int bytes;
    private int leftOut;

    @Override
    public @Nullable String source(Path picture, int side) {
      if (bytes < MOST_BYTES) {
        try {
          Thumbnail small = Thumbnail.of(picture, side);
          if (bytes + small.file().length <= MOST_BYTES) {
            bytes += small.file().length;
            return "data:%s;base64,%s"
                .formatted(small.mediaType(), Base64.getEncoder().encodeToString(small.file()));
          }
        } catch (Problem e) {
          leftOut++;
          return null; // deleted since, or damaged
        }
      }
      leftOut++;
      return null;
    }

    @Override
    public int leftOut() {
      return leftOut;
    }
  }
}
