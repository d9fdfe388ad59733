package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What LoRAs change in the weights of a model, one after the other. Their files stay open until
 * this is closed; a weight is computed when it is asked for.
 */
public final class LoraChanges implements AutoCloseable {
  /** Copies of a weight in F32 that {@link #merged} holds at once: its own, a change, the sum. */
  private static final int COPIES = 4;

  /** A layer's change, and how many times it is added. */
  private record Change(LoraLayer layer, double strength) {}

  private final List<LoraFile> files = new ArrayList<>();

  /** What is added, in the order of the LoRAs, by component and by the weight's name here. */
  private final Map<Component, Map<String, List<Change>>> changes = new EnumMap<>(Component.class);

  private LoraChanges() {}

  /** Nothing. */
  static LoraChanges none() {
    return new LoraChanges();
  }

  /**
   * Opens files and compares them with the layers of a model.
   *
   * @throws dreambooth4j.Problem when one cannot be read or is for another model
   */
  public static LoraChanges of(ModelLayers model, List<LoraUse> uses) {
    LoraChanges made = new LoraChanges();
    try {
      for (LoraUse use : uses) {
        LoraFile file = LoraFile.open(use.file(), model);
        made.files.add(file);
        file.layers().forEach(layer -> made.add(new Change(layer, use.strength())));
      }
      return made;
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  private void add(Change change) {
    changes
        .computeIfAbsent(change.layer.component(), c -> new HashMap<>())
        .computeIfAbsent(ModelLayers.weightOf(change.layer.name()), n -> new ArrayList<>())
        .add(change);
  }

  /** The files, in the order in which they are added. */
  List<LoraFile> files() {
    return Collections.unmodifiableList(files);
  }

  /** The parts of the model that are changed. */
  Set<Component> components() {
    return Collections.unmodifiableSet(changes.keySet());
  }

  /** How many weights are changed. */
  int count() {
    return changes.values().stream().mapToInt(Map::size).sum();
  }

  /** Whether a weight of this name here is changed. */
  boolean has(Component component, String name) {
    return !of(component, name).isEmpty();
  }

  private List<Change> of(Component component, String name) {
    return changes.getOrDefault(component, Map.of()).getOrDefault(name, List.of());
  }

  /**
   * A weight with its changes in it.
   *
   * @param name of the weight here
   * @param weight in the file's order and shape, any type; given back where nothing changes it
   * @return F32 where there is a change, held by the arena
   */
  Tensor merged(Arena arena, Component component, String name, Tensor weight) {
    Tensor sum = weight;
    for (Change each : of(component, name)) {
      sum = each.layer.merged(arena, sum, each.strength);
    }
    return sum;
  }

  /**
   * Computes meanwhile with the changed weights in the place of those of a model in memory, which
   * stay untouched where they are. Without backward.
   *
   * @param arena holds the changed weights meanwhile
   * @param groups the model's own weights
   */
  public void during(Arena arena, List<Group> groups, Runnable body) {
    try (Arena held = arena.child("weights with LoRAs")) {
      Map<Parameter, Tensor> changed = new LinkedHashMap<>();
      for (Group group : groups) {
        for (Parameter each : group.parameters().all()) {
          if (has(group.component(), each.name())) {
            changed.put(each, changed(held, group.component(), each));
          }
        }
      }
      try {
        changed.forEach(Parameter::replace);
        body.run();
      } finally {
        changed.keySet().forEach(each -> each.replace(null));
      }
    }
  }

  /** In the type that is computed in. */
  private Tensor changed(Arena held, Component component, Parameter weight) {
    Tensor own = weight.weight();
    Tensor result = held.allocate(weight.name(), own.dtype(), weight.shape());
    try (Arena scratch = held.child("merge " + weight.name())) {
      Tensor before = weight.toFileOrder(scratch, own);
      weight.fromFileOrder(merged(scratch, component, weight.name(), before), result);
    }
    return result;
  }

  /**
   * The most bytes that {@link #during} holds at once beside the model.
   *
   * @param ofBody those that the body holds
   */
  public long bytes(List<Group> groups, long ofBody) {
    long held = 0;
    long largest = 0;
    for (Group group : groups) {
      for (Parameter each : group.parameters().all()) {
        if (has(group.component(), each.name())) {
          held += each.count() * group.parameters().computeType().bytes();
          largest = Math.max(largest, each.count());
        }
      }
    }
    return held + Math.max(ofBody, COPIES * largest * DType.F32.bytes());
  }

  @Override
  public void close() {
    files.forEach(LoraFile::close);
  }
}
