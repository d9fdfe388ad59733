package dreambooth4j.evaluate;

import dreambooth4j.data.Pixels;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a training changed, prompt by prompt.
 *
 * @param rows the subject first, then kind by kind, in each by how far they moved towards the
 *     subject, the farthest first
 * @param seeds noises that each prompt was asked with
 * @param timesteps at which each was asked, on the base model's way from noise to picture
 * @param presence how alike pictures of the class and the subject's own are; null where there is no
 *     class or none of the subject's pictures
 */
public record BleedResult(
    List<Row> rows, int seeds, List<Double> timesteps, @Nullable Presence presence) {
  /**
   * One prompt; formulas in {@link Drift} and {@link Likenesses}.
   *
   * @param bleed how far its answers went of the way to the subject's
   * @param towards how much of that went to the subject
   * @param moved how far they moved beside the subject's
   * @param change how far they moved beside their own size
   * @param pictures what was drawn of it; null where nothing was
   */
  public record Row(
      Probe probe,
      Interval bleed,
      Interval towards,
      Interval moved,
      Interval change,
      @Nullable Drawn pictures) {}

  /**
   * Pictures of one prompt by both models, at the same seeds.
   *
   * @param towards how far they moved towards the subject
   * @param varietyBefore of the base model's pictures
   * @param variety of the trained model's
   * @param seen the same by another model's features; null where none was given
   */
  public record Drawn(
      List<Pixels> base,
      List<Pixels> trained,
      Interval towards,
      double varietyBefore,
      double variety,
      @Nullable Seen seen) {}

  /**
   * The same by the features of another model, CLIP or DINOv2.
   *
   * @param towards how far pictures moved towards the subject
   * @param varietyBefore of the base model's pictures
   * @param variety of the trained model's
   */
  public record Seen(Interval towards, double varietyBefore, double variety) {}

  /**
   * PRES of the base model's pictures of the class, and of the trained model's; by another model's
   * features too where one was given.
   */
  public record Presence(
      double before, double after, @Nullable Double seenBefore, @Nullable Double seenAfter) {}

  /** Sorts rows. */
  public BleedResult {
    rows =
        rows.stream()
            .sorted(
                Comparator.comparing((Row row) -> row.probe.kind())
                    .thenComparing(row -> -row.towards.value()))
            .toList();
  }

  /**
   * The mean of how much of the way to the subject one kind of prompts went; null where there are
   * none.
   */
  public @Nullable Double mean(Probe.Kind kind) {
    return rows.stream()
        .filter(row -> row.probe.kind() == kind)
        .mapToDouble(row -> row.towards.value())
        .average()
        .stream()
        .boxed()
        .findFirst()
        .orElse(null);
  }
}
