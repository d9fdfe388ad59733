package dreambooth4j.weights;

import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A model with LoRAs in its weights. Nothing is held: a weight is computed when it is read, so that
 * drawing with it, training from it and writing it take what the model itself does.
 */
public final class MergedModel extends DerivedSource implements AutoCloseable {
  private final List<LoraUse> uses;
  private final LoraChanges changes;

  private MergedModel(ModelSource base, List<LoraUse> uses) {
    super(base);
    this.uses = List.copyOf(uses);
    changes = uses.isEmpty() ? LoraChanges.none() : LoraChanges.of(ModelLayers.of(base), uses);
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
    return changes.count();
  }

  @Override
  public List<String> notes() {
    List<String> notes = new ArrayList<>(base.notes());
    Map<String, String> own = ModelWriter.notesOf(base);
    for (LoraFile file : changes.files()) {
      encoding(file)
          .forEach(
              (key, value) -> {
                String used = own.getOrDefault(key, value);
                if (!used.equals(value)) {
                  notes.add(
                      "%s was trained with %s %s, %s with %s: the model's is used"
                          .formatted(file.path(), key.substring(3), value, base.path(), used));
                }
              });
    }
    return notes;
  }

  @Override
  public TensorSource weights(Component component) {
    TensorSource weights = base.weights(component);
    return changes.components().contains(component)
        ? new Merged(component, weights, changes, encoding())
        : weights;
  }

  private Map<String, String> encoding() {
    Map<String, String> notes = new LinkedHashMap<>();
    changes.files().forEach(file -> notes.putAll(encoding(file)));
    return notes;
  }

  /**
   * How a LoRA was trained to read prompts, where it says so: kohya's notes. All models of SDXL are
   * drawn with by the same layer of their text encoders, whatever kohya's scripts note.
   */
  private Map<String, String> encoding(LoraFile file) {
    List<String> keys =
        pipeline() == Pipeline.STABLE_DIFFUSION_XL
            ? List.of("ss_max_token_length")
            : List.of("ss_clip_skip", "ss_max_token_length");
    Map<String, String> notes = new LinkedHashMap<>();
    for (String key : keys) {
      String value = file.metadata().getOrDefault(key, "");
      if (value.matches("\\d{1,4}")) {
        notes.put(key, value);
      }
    }
    return notes;
  }

  @Override
  public String fingerprint(Component component) {
    if (!changes.components().contains(component)) {
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
    for (Component component : changes.components()) {
      if (written.add(component)) {
        try (TensorSource weights = weights(component);
            Arena arena = Arena.open("merge")) {
          SafetensorsWriter writer = new SafetensorsWriter().add(weights, null);
          weights.metadata().forEach(writer::metadata);
          Path file = output.resolve(component.folder()).resolve(component.weightsFile(null));
          folder.add(file, writer.body(arena));
        }
      }
    }
    base.copyTo(folder, output, written);
  }

  @Override
  public void close() {
    changes.close();
  }

  /** A component's weights with the changes in them, in the types that they have without. */
  private static final class Merged implements TensorSource {
    private final Component component;
    private final TensorSource weights;
    private final LoraChanges changes;
    private final Map<String, String> notes;

    Merged(
        Component component, TensorSource weights, LoraChanges changes, Map<String, String> notes) {
      this.component = component;
      this.weights = weights;
      this.changes = changes;
      this.notes = notes;
    }

    private boolean isChanged(String name) {
      return changes.has(component, WeightNames.ours(component, name));
    }

    @Override
    public Path path() {
      return weights.path();
    }

    @Override
    public Map<String, TensorInfo> tensors() {
      return weights.tensors();
    }

    @Override
    public Map<String, String> metadata() {
      Map<String, String> all = new LinkedHashMap<>(notes);
      all.putAll(weights.metadata()); // what the model itself says goes before
      return Collections.unmodifiableMap(all);
    }

    @Override
    public Path fileOf(String name) {
      return weights.fileOf(name);
    }

    @Override
    public Tensor read(Arena arena, String name) {
      if (!isChanged(name)) {
        return weights.read(arena, name);
      }
      TensorInfo info = info(name);
      Tensor tensor = arena.allocate(name, info.dtype(), info.sizes());
      try (Arena scratch = arena.child("merge " + name)) {
        tensor.copyFrom(merged(scratch, name));
      }
      return tensor;
    }

    @Override
    public void readInto(Tensor target, String name) {
      if (!isChanged(name)) {
        weights.readInto(target, name);
        return;
      }
      requireCount(target, name);
      try (Arena scratch = target.arena().child("merge " + name)) {
        target.copyFrom(merged(scratch, name).reshaped(target.shape()));
      }
    }

    @Override
    public void readInto(Parameter target, String name) {
      if (!isChanged(name)) {
        weights.readInto(target, name);
        return;
      }
      requireCount(target.master(), name);
      try (Arena scratch = target.master().arena().child("merge " + name)) {
        target.read(merged(scratch, name).reshaped(target.fileShape()));
      }
    }

    /** F32 where there is a change: a model in F32 is given more than its file could hold. */
    private Tensor merged(Arena arena, String name) {
      String ours = WeightNames.ours(component, name);
      return changes.merged(arena, component, ours, weights.read(arena, name));
    }

    @Override
    public void close() {
      weights.close();
    }
  }
}
