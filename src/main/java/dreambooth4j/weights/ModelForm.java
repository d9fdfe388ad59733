package dreambooth4j.weights;

import dreambooth4j.engine.DType;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How a model is written.
 *
 * @param formats at least one
 * @param type what all weights are held in; null for F32 of what trained and for the rest as it is
 *     in the base model
 */
public record ModelForm(Set<Format> formats, @Nullable DType type) {
  /** A diffusers folder, and nothing changed that was not trained. */
  public static final ModelForm FOLDER = new ModelForm(Set.of(Format.DIFFUSERS), null);

  /** Where the parts of a model lie, by the names in a configuration. */
  public enum Format {
    /** A folder for each part. */
    DIFFUSERS,
    /** One safetensors file under the original names. */
    SAFETENSORS
  }

  /** Copies the set. */
  public ModelForm {
    formats = Set.copyOf(formats);
    if (formats.isEmpty() || (type != null && !type.isFloat())) {
      throw new IllegalArgumentException("no format, or no type of weights: " + type);
    }
  }

  /** Whether it is one of them. */
  boolean has(Format format) {
    return formats.contains(format);
  }
}
