package dreambooth4j.weights;

import java.nio.file.Path;
import java.util.Set;

/** A published model without its weights. */
record PublishedModel(Family family, FamilyConfigs configs) implements ModelSource {
  static PublishedModel of(Family family) {
    return new PublishedModel(family, FamilyConfigs.published(family, Path.of("published")));
  }

  @Override
  public Path path() {
    return Path.of("published");
  }

  @Override
  public Pipeline pipeline() {
    return family.pipeline();
  }

  @Override
  public boolean hasZeroNegative() {
    return false;
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
    throw new AssertionError("it has none");
  }

  @Override
  public String fingerprint(Component component) {
    throw new AssertionError("it has none");
  }

  @Override
  public void copyTo(NewFiles files, Path output, Set<Component> trained) {
    throw new AssertionError("it has none");
  }
}
