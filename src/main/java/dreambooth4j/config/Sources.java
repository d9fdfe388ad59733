package dreambooth4j.config;

import static java.util.Objects.requireNonNull;

import dreambooth4j.Nearest;
import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.config.Layer.Raw;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/** What the file and the flags say, key by key, before anything is understood of the values. */
final class Sources {
  /** Errors beyond so many are counted, not shown. */
  static final int MOST_ERRORS = 20;

  /** A run of more would show each too rarely to learn it. */
  private static final int MOST_CONCEPTS = 1000;

  /** Keys that say where the concepts are. */
  static final Set<String> STRUCTURE = Set.of("concepts_list", "concepts_path", "use_concepts");

  private static final String MODEL_NAME = "model_name";

  private static final Set<Tag> PLAIN_TAGS =
      Set.of(Tag.STR, Tag.INT, Tag.FLOAT, Tag.BOOL, Tag.NULL, Tag.MAP, Tag.SEQ);

  private static final Map<String, Key<?, ?>> KEYS = new HashMap<>();
  private static final Set<String> CONCEPT_NAMES = new HashSet<>();
  private static final Set<String> NAMES = new TreeSet<>();

  static {
    for (Key<?, ?> key : Keys.all()) {
      KEYS.put(key.name(), key);
      key.aliases().forEach(alias -> KEYS.put(alias, key));
    }
    Keys.ofConcept().forEach(key -> CONCEPT_NAMES.add(key.name()));
    NAMES.addAll(KEYS.keySet());
    NAMES.addAll(STRUCTURE);
    NAMES.addAll(ForeignKeys.names());
  }

  final Layer top = new Layer();
  final List<Layer> entries = new ArrayList<>();
  final Layer flags = new Layer();
  final ForeignValues foreign = new ForeignValues();
  final Context context = new Context();
  private final List<String> errors = context.errors;
  private final MergeKeys merges = new MergeKeys(errors);

  /** Maps under a name of their own, with an anchor: they are there to be merged. */
  private final List<NodeTuple> holders = new ArrayList<>();

  /** Reads the file's keys. */
  void addFile(Path file) {
    String text = YamlDocument.text(file);
    if (KohyaKeys.isToml(file, text)) {
      throw Problem.usage(
          "%s is TOML, as kohya's sd-scripts take it: make a configuration of it by dreambooth import %s -o config.yaml"
              .formatted(file, file));
    }
    if (!(YamlDocument.parse(file, text) instanceof MappingNode root)) {
      throw Problem.usage(file + ":1: a configuration is a map of keys and values");
    }
    Map<String, Node> nodes = new HashMap<>();
    for (NodeTuple tuple : merges.entries(file, root)) {
      nodes.put(MergeKeys.name(tuple), tuple.getValueNode());
    }
    context.folder = folder(file);
    if (nodes.containsKey(MODEL_NAME)
        && (nodes.containsKey("revision") || nodes.containsKey("lifetime_revision"))) {
      context.extension = true;
      context.defaults = Defaults.EXTENSION;
      String name = text(nodes.get(MODEL_NAME));
      context.outputName = context.outputName.resolve(Spelling.fileName(name == null ? "" : name));
    }
    Map<String, Node> structure = new HashMap<>();
    addMapping(root, file, top, structure);
    addConcepts(file, structure);
    for (NodeTuple tuple : holders) {
      if (!merges.isMerged(tuple.getValueNode())) {
        errors.add(unknown(MergeKeys.name(tuple), at(file, tuple.getKeyNode())));
      }
    }
  }

  private void addConcepts(Path file, Map<String, Node> structure) {
    boolean fromFile = !"false".equals(text(structure.get("use_concepts")));
    String path = text(structure.get("concepts_path"));
    if (path != null && !path.isBlank() && fromFile) {
      // The extension also takes the list itself, as JSON in a text.
      if (path.stripLeading().startsWith("[")) {
        addConceptsFile(file, YamlDocument.parse(file, path));
      } else {
        addConceptsFile(folder(file).resolve(path));
      }
      return;
    }
    Node concepts = structure.get("concepts_list");
    if (concepts instanceof SequenceNode list) {
      addEntries(list, file);
    } else if (concepts instanceof ScalarNode scalar) {
      String name = YamlDocument.scalar(scalar);
      if (name != null && !name.isBlank()) {
        addConceptsFile(folder(file).resolve(name));
      }
    } else if (concepts != null) {
      errors.add(at(file, concepts) + ": concepts_list: found a map, allowed is a list of maps");
    }
  }

  /** Adds the flags, which take the place of what the file says. */
  void addFlags(Map<String, String> values) {
    Path here = Path.of("").toAbsolutePath();
    values.forEach(
        (name, text) -> {
          if (name.equals("concepts_path") || name.equals("concepts_list")) {
            entries.clear();
            addConceptsFile(here.resolve(text));
          } else if (!name.equals("use_concepts")) {
            add(name, new Raw(text, "--" + name, here), flags);
          }
        });
  }

  /** All names that may stand in a file or as a flag. */
  static Set<String> knownNames() {
    return Collections.unmodifiableSet(NAMES);
  }

  private void addConceptsFile(Path file) {
    addConceptsFile(file, YamlDocument.read(file));
  }

  private void addConceptsFile(Path file, Node root) {
    if (root instanceof SequenceNode list) {
      addEntries(list, file);
    } else {
      errors.add(file + ":1: a concepts file is a list of maps");
    }
  }

  private void addEntries(SequenceNode list, Path file) {
    if (list.getValue().size() > MOST_CONCEPTS) {
      throw Problem.usage(
          "%s: concepts_list has %,d concepts, at most %,d are trained together: train fewer, or give several subjects one concept with captions"
              .formatted(at(file, list), list.getValue().size(), MOST_CONCEPTS));
    }
    for (Node node : list.getValue()) {
      if (!(node instanceof MappingNode entry)) {
        errors.add(at(file, node) + ": concepts_list: each entry is a map of keys and values");
        continue;
      }
      Layer layer = new Layer();
      addMapping(entry, file, layer, null);
      Raw pictures = layer.get(ConceptConfig.INSTANCE_DATA_DIR);
      // The extension leaves entries without pictures in its list and passes over them.
      if (!context.extension
          || (pictures != null && pictures.text() != null && !pictures.text().isBlank())) {
        entries.add(layer);
      }
    }
  }

  /** Adds a map's keys to a layer; those of STRUCTURE, which only the top level has, go there. */
  void addMapping(MappingNode map, Path file, Layer layer, @Nullable Map<String, Node> structure) {
    for (NodeTuple tuple : merges.entries(file, map)) {
      String name = MergeKeys.name(tuple);
      String origin = at(file, tuple.getKeyNode());
      Node value = tuple.getValueNode();
      if (!PLAIN_TAGS.contains(value.getTag())) {
        errors.add("%s: %s: tags are not allowed".formatted(origin, Printable.shortened(name)));
      } else if (structure != null && STRUCTURE.contains(name)) {
        if (structure.put(name, value) != null) {
          errors.add("%s: %s is given twice".formatted(origin, name));
        }
      } else if (structure == null && KEYS.containsKey(name) && !isConceptKey(name)) {
        errors.add(
            "%s: %s holds for the whole run: move it out of concepts_list".formatted(origin, name));
      } else if (structure != null
          && value instanceof MappingNode
          && value.getAnchor().isPresent()
          && !NAMES.contains(name)) {
        holders.add(tuple);
      } else if (value instanceof ScalarNode scalar) {
        add(name, new Raw(YamlDocument.scalar(scalar), origin, folder(file)), layer);
      } else if (value instanceof SequenceNode list && isListKey(name) && elements(list) != null) {
        add(name, new Raw(elements(list), origin, folder(file)), layer);
      } else if (KEYS.containsKey(name)) {
        errors.add(
            "%s: %s: found %s, allowed is %s"
                .formatted(
                    origin, name, kind(value), requireNonNull(KEYS.get(name)).type().allowed()));
      } else if (ForeignKeys.contains(name)) {
        String refusal = foreign.takeNested(name, kind(value), context.extension);
        if (refusal != null) {
          errors.add("%s: %s: %s".formatted(origin, name, refusal));
        }
      } else {
        add(name, new Raw("", origin, folder(file)), layer);
      }
    }
  }

  private void add(String name, Raw raw, Layer layer) {
    Key<?, ?> key = KEYS.get(name);
    if (key != null) {
      Raw before = layer.put(key, raw);
      if (before != null) {
        errors.add(
            "%s: %s is given twice, first at %s: both names mean %s"
                .formatted(raw.origin(), name, before.origin(), key.name()));
      }
    } else if (name.equals("center_crop") && "true".equalsIgnoreCase(raw.text())) {
      // Here it is the default; of diffusers' defaults it takes the place of a random crop.
      layer.put(ConceptConfig.CROP, new Raw(Crop.CENTER.toString(), raw.origin(), raw.folder()));
    } else if (name.equals(MODEL_NAME) && context.extension && !raw.isFlag()) {
      return; // it has named the output folder
    } else if (ForeignKeys.contains(name)) {
      String text = raw.text() == null ? "" : raw.text();
      String refusal = foreign.take(name, text, context.extension && !raw.isFlag());
      if (refusal != null) {
        errors.add(raw.at(name) + ": " + refusal);
      }
    } else {
      errors.add(unknown(name, raw.origin()));
    }
  }

  private String unknown(String name, String origin) {
    if (KohyaKeys.contains(name)) {
      return "%s: unknown key %s: %s".formatted(origin, name, KohyaKeys.hint(name));
    }
    String guess =
        errors.size() < MOST_ERRORS
            ? Nearest.word(name, NAMES).map(k -> "; did you mean " + k + "?").orElse("")
            : "";
    return "%s: unknown key %s%s".formatted(origin, Printable.shortened(name), guess);
  }

  private static boolean isConceptKey(String name) {
    Key<?, ?> key = KEYS.get(name);
    return key != null && CONCEPT_NAMES.contains(key.name());
  }

  private static boolean isListKey(String name) {
    Key<?, ?> key = KEYS.get(name);
    return key != null && key.type().kind() == ValueType.Kind.LIST;
  }

  /** The text of a list, as {@link ValueType#list} takes it; null where it is not one of texts. */
  private static @Nullable String elements(SequenceNode list) {
    StringBuilder all = new StringBuilder();
    for (Node each : list.getValue()) {
      String text = text(each);
      if (text == null) {
        return null;
      }
      all.append(text).append(ValueType.BETWEEN);
    }
    return all.toString();
  }

  private static @Nullable String text(@Nullable Node node) {
    return node instanceof ScalarNode scalar ? YamlDocument.scalar(scalar) : null;
  }

  private static String kind(Node value) {
    return value instanceof SequenceNode ? "a list" : "a map";
  }

  private static String at(Path file, Node node) {
    return file + ":" + YamlDocument.line(node);
  }

  private static Path folder(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    return parent == null ? file.toAbsolutePath() : parent;
  }
}
