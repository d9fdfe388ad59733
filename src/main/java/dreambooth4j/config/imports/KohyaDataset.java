package dreambooth4j.config.imports;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.config.KeyTable.Fate;
import dreambooth4j.config.imports.Draft.NotPossible;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A dataset configuration of kohya's sd-scripts: subsets of datasets, each with its own keys and,
 * for those that it lacks, its dataset's and the general ones.
 */
final class KohyaDataset {
  private static final String CAPTIONS = "[filewords]";

  /** What each concept has for itself here; all else holds for the whole run. */
  private static final Set<String> OF_CONCEPT =
      Set.of(
          "image_dir",
          "is_reg",
          "class_tokens",
          "num_repeats",
          "random_crop",
          "caption_prefix",
          "caption_suffix",
          "metadata_file");

  private final List<Map<String, String>> subsets = new ArrayList<>();

  KohyaDataset(Path file, JsonNode root) {
    Map<String, String> general = new LinkedHashMap<>();
    TomlValues.addScalars(root.path("general"), general);
    for (JsonNode dataset : root.path("datasets")) {
      Map<String, String> shared = new LinkedHashMap<>(general);
      TomlValues.addScalars(dataset, shared);
      for (JsonNode each : dataset.path("subsets")) {
        Map<String, String> subset = new LinkedHashMap<>(shared);
        TomlValues.addScalars(each, subset);
        subsets.add(subset);
      }
    }
    if (subsets.isEmpty()) {
      throw Problem.usage(
          file + ": [[datasets]] without [[datasets.subsets]]: give each folder of pictures one");
    }
  }

  /** Whether a file is one of these. */
  static boolean is(JsonNode root) {
    return root.path("datasets").isArray();
  }

  /** Whether there are regularisation pictures. */
  boolean hasClassImages() {
    return subsets.stream().anyMatch(KohyaDataset::isClass);
  }

  /** Adds what holds for the whole run to its keys: the first subset's. */
  void addTo(Map<String, String> run, Draft draft) {
    Map<String, String> first = new LinkedHashMap<>(subsets.get(0));
    first.keySet().removeAll(OF_CONCEPT);
    run.putAll(first);
    for (int i = 1; i < subsets.size(); i++) {
      for (Map.Entry<String, String> each : subsets.get(i).entrySet()) {
        String held = run.get(each.getKey());
        if (!OF_CONCEPT.contains(each.getKey()) && !each.getValue().equals(held)) {
          draft.say(
              Fate.IMPOSSIBLE,
              "%s%s = %s".formatted(place(i), each.getKey(), each.getValue()),
              "it holds for the whole run: %s, the first subset's, is taken"
                  .formatted(held == null ? "its default" : held));
        }
      }
    }
  }

  /** Adds a concept for each subset of the subject. */
  void addConcepts(Draft draft, String extensions) {
    List<Integer> classes = new ArrayList<>();
    List<Integer> subjects = new ArrayList<>();
    for (int i = 0; i < subsets.size(); i++) {
      (isClass(subsets.get(i)) ? classes : subjects).add(i);
    }
    for (int n = 0; n < subjects.size(); n++) {
      Map<String, String> concept = new LinkedHashMap<>();
      addSubject(draft, subjects.get(n), concept, extensions);
      if (n < classes.size()) {
        addClass(draft, classes.get(n), concept, extensions);
      } else if (!classes.isEmpty()) {
        addClass(draft, classes.get(classes.size() - 1), concept, extensions);
      }
      draft.concept(concept);
    }
    for (int left : classes.subList(Math.min(classes.size(), subjects.size()), classes.size())) {
      draft.say(
          Fate.IMPOSSIBLE,
          place(left) + "is_reg = true",
          "each concept has one folder of class images: put its pictures into that of another");
    }
  }

  private void addSubject(Draft draft, int index, Map<String, String> concept, String extensions) {
    Map<String, String> subset = subsets.get(index);
    String place = place(index);
    subset.forEach(
        (name, value) -> {
          if (OF_CONCEPT.contains(name)) {
            draft.take(
                place, name, value, text -> convert(draft, name, subset, concept, extensions));
          }
        });
  }

  private String convert(
      Draft draft,
      String name,
      Map<String, String> subset,
      Map<String, String> concept,
      String extensions)
      throws NotPossible {
    String value = subset.getOrDefault(name, "");
    return switch (name) {
      case "image_dir" -> {
        String set = put(concept, "instance_data_dir", draft.path(value).toString());
        yield set + ", " + put(concept, "instance_prompt", prompt(draft, subset, extensions));
      }
      case "is_reg" -> "it is the subject's";
      case "num_repeats" -> put(concept, "repeats", value);
      case "random_crop" -> put(concept, "crop", value.equals("true") ? "random" : "center");
      default -> "instance_prompt: " + prompt(draft, subset, extensions);
    };
  }

  private void addClass(Draft draft, int index, Map<String, String> concept, String extensions) {
    Map<String, String> subset = subsets.get(index);
    draft.take(
        place(index),
        "image_dir",
        subset.getOrDefault("image_dir", ""),
        value ->
            put(concept, "class_data_dir", draft.path(value).toString())
                + ", "
                + put(concept, "disable_class_matching", "true")
                + ", "
                + put(concept, "class_prompt", prompt(draft, subset, extensions)));
  }

  /** The caption files' words where there are such files or no other words, else the subset's. */
  private static String prompt(Draft draft, Map<String, String> subset, String extensions)
      throws NotPossible {
    String tokens = subset.getOrDefault("class_tokens", "");
    Path folder = draft.path(subset.getOrDefault("image_dir", ""));
    boolean captions =
        tokens.isEmpty() || (Files.isDirectory(folder) && hasCaptions(folder, extensions));
    String words = captions ? CAPTIONS : tokens;
    return (subset.getOrDefault("caption_prefix", "")
            + " "
            + words
            + " "
            + subset.getOrDefault("caption_suffix", ""))
        .strip();
  }

  private static boolean hasCaptions(Path folder, String extensions) throws NotPossible {
    try {
      List<String> all = List.of(extensions.split(",", -1));
      return FolderEntries.of(folder).stream()
          .anyMatch(file -> all.stream().anyMatch(file.toString()::endsWith));
    } catch (IOException e) {
      throw new NotPossible(folder + " cannot be listed: set instance_data_dir");
    }
  }

  private static String put(Map<String, String> concept, String key, String value) {
    concept.put(key, value);
    return key + ": " + value;
  }

  private static boolean isClass(Map<String, String> subset) {
    return "true".equals(subset.get("is_reg"));
  }

  private static String place(int index) {
    return "subset %d: ".formatted(index + 1);
  }
}
