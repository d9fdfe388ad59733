package dreambooth4j.prior;

import dreambooth4j.Sha256;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.Parallel;
import dreambooth4j.weights.ModelSource;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Tells base models apart by their weights, so that class images of another one are noticed. */
public final class BaseModel {
  private BaseModel() {}

  /**
   * SHA-256 over the weights that draw.
   *
   * @throws dreambooth4j.Problem if one of their files cannot be read
   */
  public static String fingerprint(ModelSource model) {
    return Sha256.of(
        model.pipeline().components().stream()
            .map(model::fingerprint)
            .collect(Collectors.joining("\n")));
  }

  /**
   * Says that class images are there with a record of another base model; null if there are none.
   */
  public static @Nullable String noteOfOthers(ClassImagePlan plan, ModelSource model) {
    int others = madeByOthers(plan, model);
    return others == 0
        ? null
        : "%d of the class images that are there were made by another base model than %s: they are used as they are; delete them to have them made again"
            .formatted(others, model.path());
  }

  private static int madeByOthers(ClassImagePlan plan, ModelSource model) {
    List<ClassImage> there = plan.needs().stream().flatMap(n -> n.present().stream()).toList();
    List<String> makers =
        Parallel.map(there, image -> Optional.ofNullable(ClassImageRecord.beside(image.file())))
            .stream()
            .flatMap(Optional::stream)
            .map(ClassImageRecord::model)
            .toList();
    if (makers.isEmpty()) {
      return 0; // reading all weights takes a while
    }
    String own = fingerprint(model);
    return (int) makers.stream().filter(maker -> !maker.equals(own)).count();
  }
}
