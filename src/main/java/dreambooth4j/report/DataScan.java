package dreambooth4j.report;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Picture;
import dreambooth4j.prior.ClassImagePlan;
import java.util.ArrayList;
import java.util.List;

/**
 * What a run would be made of, as far as headers and captions tell.
 *
 * @param refused pictures, class images too, that cannot be trained
 */
public record DataScan(
    Config config, List<Concept> concepts, List<Concept.Refused> refused, ClassImagePlan plan) {
  /**
   * Looks through the folders; of each picture only the header is read.
   *
   * @throws dreambooth4j.Problem if a folder is missing, or has no picture that can be trained
   */
  public static DataScan of(Config config) {
    List<Concept.Refused> refused = new ArrayList<>();
    List<Concept> concepts = Concept.scanAll(config, refused::add);
    ClassImagePlan plan = ClassImagePlan.of(config, concepts, refused::add);
    return new DataScan(config, concepts, List.copyOf(refused), plan);
  }

  /** The instance pictures of all concepts that were not refused. */
  public List<Picture> pictures() {
    return concepts.stream().flatMap(concept -> concept.pictures().stream()).toList();
  }
}
