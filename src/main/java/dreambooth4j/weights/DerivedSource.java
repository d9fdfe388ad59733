package dreambooth4j.weights;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** A model that is another one but for what its subclass changes. */
public abstract class DerivedSource implements ModelSource {
  /** The other one. */
  protected final ModelSource base;

  /** A model that is {@code base} so far. */
  protected DerivedSource(ModelSource base) {
    this.base = base;
  }

  @Override
  public Path path() {
    return base.path();
  }

  @Override
  public Pipeline pipeline() {
    return base.pipeline();
  }

  @Override
  public boolean hasZeroNegative() {
    return base.hasZeroNegative();
  }

  @Override
  public List<String> notes() {
    return base.notes();
  }

  @Override
  public List<TokenEmbedding> embeddings() {
    return base.embeddings();
  }

  @Override
  public ComponentFiles files(Component component) {
    return base.files(component);
  }

  @Override
  public boolean hasWeights(Component component) {
    return base.hasWeights(component);
  }

  @Override
  public TensorSource weights(Component component) {
    return base.weights(component);
  }

  @Override
  public String fingerprint(Component component) {
    return base.fingerprint(component);
  }

  @Override
  public void copyTo(NewFiles files, Path output, Set<Component> trained) {
    base.copyTo(files, output, trained);
  }
}
