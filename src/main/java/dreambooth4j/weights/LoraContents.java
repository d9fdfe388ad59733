package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.LongToDoubleFunction;

/** The adapters that are to be written to a file, in no naming yet. */
final class LoraContents {
  /**
   * A tensor to write.
   *
   * @param shape in the file's order
   * @param values makes it, any type, in the arena given or elsewhere
   */
  record Item(
      LoraNames.Layer layer, LoraFactor factor, List<Long> shape, Function<Arena, Tensor> values) {
    /** Its shape in a file for the model that names are of. */
    long[] shapeBy(LoraNames names) {
      return names.shape(layer, factor, shape);
    }

    /** As it is to be in a file. */
    Tensor as(DType dtype, Arena arena) {
      Tensor made = values.apply(arena);
      if (made.dtype() == dtype) {
        return made;
      }
      Tensor converted = arena.allocate(factor.label(), dtype, made.shape());
      converted.copyFrom(made);
      if (dtype == DType.F16 && !converted.isFinite()) {
        throw Problem.data(
            "%s of layer %s has numbers that fp16 cannot hold: write the LoRA in bf16 or fp32"
                .formatted(factor.label(), layer.name()));
      }
      return converted;
    }
  }

  private final List<Item> items = new ArrayList<>();
  private final Map<LoraNames.Layer, Double> alphas = new LinkedHashMap<>();

  /**
   * What groups have learnt, as it is saved.
   *
   * @param alphas the alpha of an adapter of a rank
   */
  static LoraContents of(List<Group> groups, LongToDoubleFunction alphas) {
    LoraContents contents = new LoraContents();
    for (Group group : groups) {
      for (Parameter each : group.parameters().all()) {
        LoraFactor factor = LoraFactor.ofParameter(each.name());
        String name = each.name().substring(0, each.name().length() - factor.label().length() - 1);
        LoraNames.Layer layer = new LoraNames.Layer(group.component(), name);
        contents.add(
            layer,
            factor,
            each.fileShape(),
            arena -> each.isPermuted() ? each.toFileOrder(arena, each.saved()) : each.saved());
        contents.alphas.put(layer, alphas.applyAsDouble(1));
      }
    }
    contents.ranks().forEach((layer, rank) -> contents.alpha(layer, alphas.applyAsDouble(rank)));
    return contents;
  }

  /** Adds a tensor. */
  void add(LoraNames.Layer layer, LoraFactor factor, long[] shape, Function<Arena, Tensor> values) {
    List<Long> sizes = new ArrayList<>();
    for (long size : shape) {
      sizes.add(size);
    }
    items.add(new Item(layer, factor, List.copyOf(sizes), values));
  }

  /** Sets a layer's alpha. */
  void alpha(LoraNames.Layer layer, double alpha) {
    alphas.put(layer, alpha);
  }

  /** All tensors. */
  List<Item> items() {
    return items;
  }

  /** The alpha of each layer. */
  Map<LoraNames.Layer, Double> alphas() {
    return alphas;
  }

  /** The components that have adapters. */
  Set<Component> components() {
    Set<Component> found = new LinkedHashSet<>();
    alphas.keySet().forEach(each -> found.add(each.component()));
    return found;
  }

  /** The ranks of LoRA's and LoHa's layers, and of LoKr's where it has any, by layer. */
  Map<LoraNames.Layer, Long> ranks() {
    Map<LoraNames.Layer, Long> ranks = new LinkedHashMap<>();
    for (Item each : items) {
      switch (each.factor) {
        case DOWN, HADA_W1_B, LOKR_W2_B -> ranks.put(each.layer, each.shape.get(0));
        case LOKR_W1_B -> ranks.putIfAbsent(each.layer, each.shape.get(0));
        default -> {
          // says nothing of the rank
        }
      }
    }
    return ranks;
  }

  /** Whether there is such a factor. */
  boolean has(LoraFactor factor) {
    return items.stream().anyMatch(each -> each.factor == factor);
  }

  /** Values that occur, in order. */
  static <T extends Comparable<T>> Set<T> different(Iterable<T> values) {
    Set<T> found = new TreeSet<>();
    values.forEach(found::add);
    return found;
  }
}
