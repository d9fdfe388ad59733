package dreambooth4j.weights;

import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A model with LoRAs in its weights. Nothing is held: a weight is computed when it is read, so that
 * drawing with it, training from it and writing it take what the model itself does.
 */
public final class MergedModel implements ModelSource, AutoCloseable {
  /** A layer's change, and how many times it is added. */
  private record Change(LoraLayer layer, double strength) {}

  private final ModelSource base;
  private final List<LoraUse> uses;
  private final List<LoraFile> files = new ArrayList<>();

  /** What is added, in the order of the LoRAs, by component and by the weight's name here. */
  private final Map<Component, Map<String, List<Change>>> changes = new EnumMap<>(Component.class);

  private MergedModel(ModelSource base, List<LoraUse> uses) {
    this.base = base;
    this.uses = List.copyOf(uses);
    ModelLayers layers = ModelLayers.of(base);
    try {
      for (LoraUse use : uses) {
        LoraFile file = LoraFile.open(use.file(), layers);
        files.add(file);
        for (LoraLayer each : file.layers()) {
          changes
              .computeIfAbsent(each.component(), c -> new HashMap<>())
              .computeIfAbsent(ModelLayers.weightOf(each.name()), n -> new ArrayList<>())
              .add(new Change(each, use.strength()));
        }
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /**
   * A model with LoRAs added one after the other; their files stay open until this is closed.
   *
   * @throws dreambooth4j.Problem when one cannot be read or is for another model
   */
  public static MergedModel of(ModelSource base, List<LoraUse> uses) {
    return new MergedModel(base, uses);
  }

  /** Layers that the LoRAs change. */
  public int changedLayers() {
    return changes.values().stream().mapToInt(Map::size).sum();
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
  public ComponentFiles files(Component component) {
    return base.files(component);
  }

  @Override
  public boolean hasWeights(Component component) {
    return base.hasWeights(component);
  }

  @Override
  public TensorSource weights(Component component) {
    Map<String, List<Change>> changed = changes.get(component);
    TensorSource weights = base.weights(component);
    return changed == null ? weights : new Merged(component, weights, changed);
  }

  @Override
  public String fingerprint(Component component) {
    if (!changes.containsKey(component)) {
      return base.fingerprint(component);
    }
    StringBuilder all = new StringBuilder(base.fingerprint(component));
    uses.forEach(use -> all.append('\n').append(Sha256.of(use.file())).append(use.strength()));
    return Sha256.of(all.toString());
  }

  @Override
  public void copyTo(NewFiles folder, Path output, Set<Component> trained) {
    Set<Component> written = EnumSet.noneOf(Component.class);
    written.addAll(trained);
    for (Component component : changes.keySet()) {
      if (written.add(component)) {
        folder.add(
            output.resolve(component.folder()).resolve(component.weightsFile(null)),
            body(component));
      }
    }
    base.copyTo(folder, output, written);
  }

  /** A component's weights with the changes in them, in the types that they have without. */
  private StagedFiles.Body body(Component component) {
    try (TensorSource stored = base.weights(component)) {
      long bytes = stored.tensors().values().stream().mapToLong(TensorInfo::bytes).sum();
      return StagedFiles.Body.of(
          bytes,
          channel -> {
            try (Arena arena = Arena.open("merge");
                TensorSource weights = weights(component)) {
              SafetensorsWriter writer = new SafetensorsWriter();
              weights.metadata().forEach(writer::metadata);
              for (TensorInfo each : stored.tensors().values()) {
                writer.add(each.name(), weights, each.name(), each.dtype());
              }
              writer.body(arena).writeTo(channel);
            }
          });
    }
  }

  @Override
  public void close() {
    files.forEach(LoraFile::close);
  }

  /** A component's weights with the changes in them: F32 where there are any. */
  private static final class Merged implements TensorSource {
    private final Component component;
    private final TensorSource weights;
    private final Map<String, List<Change>> changed;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

    Merged(Component component, TensorSource weights, Map<String, List<Change>> changed) {
      this.component = component;
      this.weights = weights;
      this.changed = changed;
      weights
          .tensors()
          .forEach(
              (name, info) ->
                  tensors.put(
                      name,
                      changes(name).isEmpty()
                          ? info
                          : new TensorInfo(name, DType.F32, info.shape(), info.offset())));
    }

    private List<Change> changes(String name) {
      return changed.getOrDefault(WeightNames.ours(component, name), List.of());
    }

    @Override
    public Path path() {
      return weights.path();
    }

    @Override
    public Map<String, TensorInfo> tensors() {
      return Collections.unmodifiableMap(tensors);
    }

    @Override
    public Map<String, String> metadata() {
      return weights.metadata();
    }

    @Override
    public Path fileOf(String name) {
      return weights.fileOf(name);
    }

    @Override
    public Tensor read(Arena arena, String name) {
      Tensor weight = weights.read(arena, name);
      for (Change each : changes(name)) {
        Tensor merged = each.layer.merged(arena, weight, each.strength);
        weight.release();
        weight = merged;
      }
      return weight;
    }

    @Override
    public void close() {
      weights.close();
    }
  }
}
