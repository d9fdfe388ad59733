package dreambooth4j.weights;

import dreambooth4j.engine.Parameter;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The layers of a model that adapters lie around, by component and by the name that they have here:
 * whatever has a weight of two axes (a linear layer) or of four (a convolution).
 */
public final class ModelLayers {
  private static final String WEIGHT = ".weight";

  /** SDXL's UNet is told sizes as well, and no other that is trained here. */
  private static final String OF_SDXL = "add_embedding.linear_1";

  private final Map<Component, Map<String, List<Long>>> shapes = new EnumMap<>(Component.class);

  private ModelLayers() {}

  /**
   * Those of a model that is not loaded; headers of its weights are read.
   *
   * @throws dreambooth4j.Problem when one cannot be read
   */
  public static ModelLayers of(ModelSource model) {
    ModelLayers layers = new ModelLayers();
    for (Component component : Component.values()) {
      if (isAdapted(component) && model.hasWeights(component)) {
        try (TensorSource weights = model.weights(component)) {
          WeightNames.fileNames(component, weights)
              .forEach((ours, name) -> layers.add(component, ours, weights.tensors().get(name)));
        }
      }
    }
    return layers;
  }

  /** Those of a model that is declared, loaded or not. */
  public static ModelLayers of(List<Group> groups) {
    ModelLayers layers = new ModelLayers();
    for (Group group : groups) {
      if (isAdapted(group.component())) {
        for (Parameter each : group.parameters().all()) {
          layers.add(group.component(), each.name(), each.fileShape());
        }
      }
    }
    return layers;
  }

  /** Those of these shapes. */
  static ModelLayers of(Map<Component, Map<String, long[]>> weights) {
    ModelLayers layers = new ModelLayers();
    weights.forEach(
        (component, all) -> all.forEach((name, shape) -> layers.add(component, name, shape)));
    return layers;
  }

  /** Whether adapters are made for it at all: nobody adapts a VAE. */
  static boolean isAdapted(Component component) {
    return component == Component.UNET || component.isTextEncoder();
  }

  private void add(Component component, String ours, @Nullable TensorInfo info) {
    if (info != null) {
      add(component, ours, info.sizes());
    }
  }

  private void add(Component component, String ours, long[] shape) {
    if (ours.endsWith(WEIGHT) && (shape.length == 2 || shape.length == 4)) {
      List<Long> sizes = new ArrayList<>();
      for (long size : shape) {
        sizes.add(size);
      }
      shapes
          .computeIfAbsent(component, c -> new LinkedHashMap<>())
          .put(ours.substring(0, ours.length() - WEIGHT.length()), List.copyOf(sizes));
    }
  }

  /** The shapes of a component's weights by their layers' names here; cannot be changed. */
  public Map<String, List<Long>> of(Component component) {
    return Collections.unmodifiableMap(shapes.getOrDefault(component, Map.of()));
  }

  /** Whether they are SDXL's. */
  public boolean isSdxl() {
    return of(Component.UNET).containsKey(OF_SDXL);
  }

  /** The name here of a layer's weight. */
  static String weightOf(String layer) {
    return layer + WEIGHT;
  }
}
