package dreambooth4j.config.imports;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.JsonFault;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.config.KeyTable;
import dreambooth4j.config.KohyaKeys;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Makes a configuration of files of kohya's sd-scripts (training and dataset TOML, command lines)
 * or OneTrainer (presets and whole configurations in JSON).
 */
public final class Importer {
  private static final int LARGEST_BYTES = 1 << 20;

  /** What a shell script has, which may begin with an assignment as a TOML file does. */
  private static final Pattern FLAG = Pattern.compile("(^|\\s)--[a-z]\\w+");

  private final Path folder;
  private final Draft kohya;
  private final Map<String, String> training = new LinkedHashMap<>();
  private final Map<String, String> flags = new LinkedHashMap<>();
  private String script = "";
  private @Nullable KohyaDataset dataset;

  /**
   * What a file has become.
   *
   * @param yaml the configuration
   * @param report what became of each key, a line each
   */
  public record Imported(String yaml, List<String> report) {}

  private Importer(Path folder) {
    this.folder = folder;
    this.kohya = new Draft("kohya's scripts", KeyTable.KOHYA, folder);
  }

  /**
   * Imports files that belong together.
   *
   * @param folder the folder that the relative paths in them belong to
   * @throws Problem if a file cannot be read or is of no kind that is known
   */
  public static Imported of(List<Path> files, Path folder) {
    Importer importer = new Importer(folder.toAbsolutePath());
    String origin =
        files.stream()
            .map(file -> String.valueOf(file.getFileName()).replaceAll("\\p{Cntrl}", ""))
            .collect(Collectors.joining(", "));
    for (Path file : files) {
      String text = text(file);
      if (text.stripLeading().startsWith("{")) {
        if (files.size() > 1) {
          throw Problem.usage(file + " is OneTrainer's: import it alone");
        }
        return importer.oneTrainer(file, text, origin);
      }
      importer.add(file, text);
    }
    return importer.kohya(origin);
  }

  private Imported oneTrainer(Path file, String text, String origin) {
    if (!(json(file, text) instanceof ObjectNode root)) {
      throw Problem.usage(file + ": a preset of OneTrainer is a JSON object");
    }
    if (root.has("revision") && root.has("model_name")) {
      throw Problem.usage(
          file + " is a db_config.json, which needs no import: dreambooth train " + file);
    }
    Draft draft = new Draft("OneTrainer", KeyTable.ONE_TRAINER, folder);
    new OneTrainerImport(draft, root).run();
    OneTrainerConcepts concepts = new OneTrainerConcepts(draft);
    JsonNode list = root.path("concepts");
    Path listed = folder.resolve(root.path("concept_file_name").asText("training_concepts"));
    if (!list.isArray() && Files.isRegularFile(listed)) {
      list = json(listed, text(listed));
    }
    concepts.add(list);
    JsonNode samples = root.path("samples");
    Path drawn =
        folder.resolve(root.path("sample_definition_file_name").asText("training_samples"));
    if (!samples.isArray() && Files.isRegularFile(drawn)) {
      samples = json(drawn, text(drawn));
    }
    concepts.addSample(samples);
    return new Imported(draft.yaml(origin), draft.report());
  }

  private static JsonNode json(Path file, String text) {
    try {
      return new JsonMapper().readTree(text);
    } catch (JsonProcessingException e) {
      throw new Problem(
          Problem.Kind.USAGE,
          "%s:%d: no valid JSON: %s".formatted(file, e.getLocation().getLineNr(), JsonFault.why(e)),
          e);
    }
  }

  private void add(Path file, String text) {
    boolean hasFlags = FLAG.matcher(text).find();
    if (!file.toString().endsWith(".toml") && (hasFlags || !KohyaKeys.isToml(file, text))) {
      addCommandLine(file, text);
      return;
    }
    JsonNode root = TomlFile.parse(file, text);
    if (KohyaDataset.is(root)) {
      dataset = new KohyaDataset(file, root);
    } else {
      TomlValues.addAll(root, training);
    }
  }

  private void addCommandLine(Path file, String text) {
    CommandLineFile line = CommandLineFile.parse(file, text);
    if (line.script().startsWith("train_dreambooth")) {
      throw Problem.usage(
          "%s is a command line of diffusers, which needs no import: put dreambooth train in the place of accelerate launch %s"
              .formatted(file, line.script()));
    }
    script = line.script();
    line.flags().forEach((name, values) -> flags.put(name, String.join(" ", values)));
    for (String named : List.of("config_file", "dataset_config")) {
      String other = flags.get(named);
      if (other != null) {
        Path path = folder.resolve(other);
        add(path.toString().endsWith(".toml") ? path : Path.of(path + ".toml"));
      }
    }
  }

  private void add(Path file) {
    add(file, text(file));
  }

  private Imported kohya(String origin) {
    Map<String, String> run = new LinkedHashMap<>(training);
    run.putAll(flags); // as there, flags win over the file
    String other = run.get("dataset_config");
    if (dataset == null && other != null) {
      add(folder.resolve(other));
    }
    if (dataset != null) {
      dataset.addTo(run, kohya);
    }
    KohyaImport all =
        new KohyaImport(kohya, run, script, dataset != null && dataset.hasClassImages());
    all.run();
    if (dataset != null) {
      String extensions = kohya.get("caption_extension");
      dataset.addConcepts(kohya, extensions == null ? ".caption" : extensions);
    }
    return new Imported(kohya.yaml(origin), kohya.report());
  }

  private static String text(Path file) {
    if (Files.notExists(file)) {
      throw Problem.usage(file + ": there is no such file");
    }
    byte[] bytes = RegularFile.bytes(file, LARGEST_BYTES);
    return new String(bytes, StandardCharsets.UTF_8).replaceFirst("^\uFEFF", "");
  }
}
