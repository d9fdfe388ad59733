package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A file of adapters (LoRA, LoHa, LoKr, with DoRA or without), open for reading, in whatever naming
 * it was written: kohya's, diffusers', peft's or an older one. Every tensor of it is known to be a
 * factor of a layer of the model that it is opened for, and to fit it.
 */
public final class LoraFile implements AutoCloseable {
  private static final int SHOWN = 8;

  private final TensorSource file;
  private final List<LoraLayer> layers = new ArrayList<>();

  private LoraFile(TensorSource file, ModelLayers model) {
    this.file = file;
    Map<LoraNames.Layer, Map<LoraFactor, TensorInfo>> found = sorted(new LoraNames(model));
    LoraAlpha noted = new LoraAlpha(file);
    try (Arena scratch = Arena.open("alphas")) {
      found.forEach(
          (layer, factors) -> {
            TensorInfo alpha = factors.remove(LoraFactor.ALPHA);
            List<Long> shape = model.of(layer.component()).get(layer.name());
            if (shape == null) {
              throw new IllegalStateException("no shape of " + layer);
            }
            LoraTensors tensors = new LoraTensors(file, layer.name(), shape, factors);
            double stated = alpha == null ? Double.NaN : number(scratch, alpha);
            layers.add(new LoraLayer(layer, tensors, stated, noted));
          });
    }
  }

  /** Whether a name is that of a LoRA file: of one that holds factors of layers. */
  public static boolean isOne(Path path) {
    if (!Files.isRegularFile(path)) {
      return false;
    }
    try (TensorSource file = TensorFiles.open(path)) {
      return file.tensors().keySet().stream()
          .map(LoraFactor::in)
          .anyMatch(found -> found != null && found.factor() != LoraFactor.ALPHA);
    }
  }

  /**
   * Opens a file and compares it with a model's layers; of its tensors only the alphas are read.
   *
   * @throws Problem when it cannot be read, holds something else, or is for another model
   */
  public static LoraFile open(Path path, ModelLayers model) {
    TensorSource file = TensorFiles.open(path);
    try {
      return new LoraFile(file, model);
    } catch (RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /**
   * Whether a file holds parts of LoRA layers, of whatever model and naming; false where it is none
   * of safetensors.
   */
  public static boolean is(Path path) {
    if (!Files.isRegularFile(path) || !path.toString().endsWith(".safetensors")) {
      return false;
    }
    try (Safetensors file = Safetensors.open(path)) {
      return file.tensors().keySet().stream().anyMatch(name -> LoraFactor.in(name) != null);
    }
  }

  /** The layers' tensors by what they are; all that are of no layer are refused together. */
  private Map<LoraNames.Layer, Map<LoraFactor, TensorInfo>> sorted(LoraNames names) {
    Map<LoraNames.Layer, Map<LoraFactor, TensorInfo>> found = new LinkedHashMap<>();
    List<TensorInfo> unknown = new ArrayList<>();
    for (TensorInfo info : file.tensors().values()) {
      LoraFactor.Found part = LoraFactor.in(info.name());
      LoraNames.Layer layer = part == null ? null : names.layer(part.spelling());
      if (part == null || layer == null) {
        unknown.add(info);
        continue;
      }
      if (!info.dtype().isFloat() && part.factor() != LoraFactor.ALPHA) {
        throw Problem.data(
            "%s: tensor %s: expected fractions, found %s"
                .formatted(file.path(), info.name(), info.dtype()));
      }
      TensorInfo other =
          found
              .computeIfAbsent(layer, l -> new EnumMap<>(LoraFactor.class))
              .put(part.factor(), info);
      if (other != null) {
        throw Problem.data(
            "%s: tensor %s: expected once, found %s too, which means the same"
                .formatted(file.path(), info.name(), other.name()));
      }
    }
    if (!unknown.isEmpty() || found.isEmpty()) {
      throw unknown(unknown);
    }
    return found;
  }

  private Problem unknown(List<TensorInfo> unknown) {
    int all = file.tensors().size();
    if (all == 0) {
      return Problem.data(file.path() + ": expected the tensors of a LoRA, found none");
    }
    StringBuilder shown = new StringBuilder();
    for (TensorInfo each : unknown.subList(0, Math.min(SHOWN, unknown.size()))) {
      shown.append("%n  %s %s%s".formatted(each.name(), each.dtype(), each.shape()));
    }
    if (unknown.size() > SHOWN) {
      shown.append("%n  and %d more".formatted(unknown.size() - SHOWN));
    }
    return Problem.data(
        "%s: %d of its %d tensors are no factors of a LoRA, LoHa or LoKr of this model's layers%s:%s"
            .formatted(file.path(), unknown.size(), all, LoraTensors.madeFor(file), shown));
  }

  private double number(Arena arena, TensorInfo info) {
    if (info.count() != 1) {
      throw Problem.data(
          "%s: tensor %s: expected one number, found %s%s"
              .formatted(file.path(), info.name(), info.dtype(), info.shape()));
    }
    Tensor stored = file.read(arena, info.name());
    double value = stored.item();
    stored.release();
    if (!Double.isFinite(value)) {
      throw Problem.data(
          "%s: tensor %s: expected a finite number, found %s"
              .formatted(file.path(), info.name(), value));
    }
    return value;
  }

  /** What its numbers are held in; F32 where they are of several types. */
  DType type() {
    Set<DType> types = EnumSet.noneOf(DType.class);
    layers.forEach(layer -> types.addAll(layer.types()));
    DType first = types.iterator().next();
    return types.size() == 1 && first.bytes() <= DType.F32.bytes() ? first : DType.F32;
  }

  /** The file. */
  public Path path() {
    return file.path();
  }

  /** Notes on the weights, by name; they are not trusted. */
  public Map<String, String> metadata() {
    return file.metadata();
  }

  /** The layers that it changes, in the order of the file. */
  public List<LoraLayer> layers() {
    return List.copyOf(layers);
  }

  @Override
  public void close() {
    file.close();
  }
}
