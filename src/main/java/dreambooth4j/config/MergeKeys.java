package dreambooth4j.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;

/**
 * The merge key of YAML 1.1: {@code <<: *common} gives a map the entries of another one, or of a
 * list of them, that it does not have itself; of a list, the earlier wins. Entries keep the lines
 * that they were written on.
 */
final class MergeKeys {
  /** Each map may be merged into many others: more entries than this are no configuration. */
  private static final int MOST_ENTRIES = 10_000;

  private final List<String> errors;
  private final IdentityHashMap<MappingNode, List<NodeTuple>> done = new IdentityHashMap<>();
  private int entries;

  MergeKeys(List<String> errors) {
    this.errors = errors;
  }

  /** A map's entries, its own before those that it takes over. */
  List<NodeTuple> entries(Path file, MappingNode map) {
    List<NodeTuple> known = done.get(map);
    if (known != null) {
      return known;
    }
    List<NodeTuple> all =
        map.getValue().stream()
            .filter(tuple -> !isMerge(tuple))
            .collect(Collectors.toCollection(ArrayList::new));
    done.put(map, List.copyOf(all)); // what a map takes from itself is nothing new
    Set<String> names = all.stream().map(MergeKeys::name).collect(Collectors.toSet());
    for (NodeTuple tuple : map.getValue()) {
      if (isMerge(tuple)) {
        for (MappingNode source : sources(file, tuple)) {
          for (NodeTuple taken : entries(file, source)) {
            if (entries <= MOST_ENTRIES && names.add(name(taken))) {
              entries++;
              all.add(taken);
            }
          }
        }
      }
    }
    if (entries > MOST_ENTRIES) {
      errors.add(file + ": more than " + MOST_ENTRIES + " keys come from merges");
    }
    done.put(map, List.copyOf(all));
    return List.copyOf(all);
  }

  /** Whether a map has been merged into another one. */
  boolean isMerged(Node map) {
    return map instanceof MappingNode && done.containsKey(map);
  }

  private List<MappingNode> sources(Path file, NodeTuple tuple) {
    Node value = tuple.getValueNode();
    List<? extends Node> nodes =
        value instanceof SequenceNode list ? list.getValue() : List.of(value);
    if (!nodes.stream().allMatch(MappingNode.class::isInstance)) {
      errors.add(
          "%s:%d: <<: takes over the keys of a map, or of a list of maps: write <<: *name"
              .formatted(file, YamlDocument.line(tuple.getKeyNode())));
      return List.of();
    }
    return nodes.stream().map(MappingNode.class::cast).toList();
  }

  private static boolean isMerge(NodeTuple tuple) {
    return tuple.getKeyNode() instanceof ScalarNode key
        && key.getScalarStyle() == ScalarStyle.PLAIN
        && key.getValue().equals("<<");
  }

  /** A key's text. */
  static String name(NodeTuple tuple) {
    return Optional.of(tuple.getKeyNode())
        .filter(ScalarNode.class::isInstance)
        .map(key -> ((ScalarNode) key).getValue())
        .orElse("(no text)");
  }
}
