package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * A published model as it is bundled: its configurations and its tokenizer, without weights. Enough
 * to know what its layers are called and how large they are.
 */
public final class PublishedModel implements ModelSource {
  private final Family family;
  private final FamilyConfigs configs;

  private PublishedModel(Family family) {
    this.family = family;
    configs = FamilyConfigs.published(family, path());
  }

  static PublishedModel of(Family family) {
    return new PublishedModel(family);
  }

  /** Stable Diffusion 1 and 2, and SDXL. */
  public static List<ModelSource> all() {
    return Arrays.stream(Family.values()).<ModelSource>map(PublishedModel::new).toList();
  }

  @Override
  public Path path() {
    return Path.of(family.title());
  }

  @Override
  public Pipeline pipeline() {
    return family.pipeline();
  }

  @Override
  public boolean hasZeroNegative() {
    return configs.index().path("force_zeros_for_empty_prompt").asBoolean(false);
  }

  @Override
  public ComponentFiles files(Component component) {
    return configs.files(component);
  }

  @Override
  public boolean hasWeights(Component component) {
    return false;
  }

  @Override
  public TensorSource weights(Component component) {
    throw without();
  }

  @Override
  public String fingerprint(Component component) {
    throw without();
  }

  @Override
  public void copyTo(NewFiles files, Path output, Set<Component> trained) {
    throw without();
  }

  private Problem without() {
    return Problem.usage("%s is bundled without weights: name a model".formatted(family.title()));
  }
}
