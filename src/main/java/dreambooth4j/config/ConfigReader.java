package dreambooth4j.config;

import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Reads a configuration: defaults, then a YAML or JSON file, then flags; what comes later wins.
 * Everything that is wrong is reported at once, with its line.
 */
public final class ConfigReader {
  private final Sources sources = new Sources();

  private ConfigReader() {}

  /**
   * What was read.
   *
   * @param noEffect keys that were read and do nothing here, those with a remark left out
   * @param worthNaming those of them that somebody set: not the many of a db_config.json at the
   *     extension's defaults
   * @param remarks one line for each value that means something else here
   * @param settings each value and where it comes from
   */
  public record Reading(
      Config config,
      List<String> noEffect,
      List<String> worthNaming,
      List<String> remarks,
      List<Setting> settings) {
    /**
     * All of it as lines for people; empty if there is nothing to say.
     *
     * @param verbose whether all keys without effect are named
     */
    public List<String> notes(boolean verbose) {
      List<String> lines = new ArrayList<>(remarks);
      List<String> named = verbose ? noEffect : worthNaming;
      int others = noEffect.size() - named.size();
      String more =
          "%d%s keys of the db_config.json (-v lists them)"
              .formatted(others, named.isEmpty() ? "" : " more");
      if (!named.isEmpty()) {
        String names = String.join(" ", named);
        lines.add("read, no effect here: " + (others == 0 ? names : names + " and " + more));
      } else if (others > 0) {
        lines.add("read, no effect here: " + more);
      }
      return lines;
    }
  }

  /**
   * Reads a configuration.
   *
   * @param file a YAML or JSON file, or null if the flags are all; paths in it are relative to it
   * @param flags values by key, without dashes; paths in them are relative to the working folder
   * @throws Problem naming every unknown key, every value that is not allowed and every key that
   *     asks for what is not done here
   */
  public static Reading read(@Nullable Path file, Map<String, String> flags) {
    return new ConfigReader().reading(file, flags);
  }

  /** All names that may stand in a file or as a flag, those without effect here too. */
  public static Set<String> knownNames() {
    return Sources.knownNames();
  }

  private Reading reading(@Nullable Path file, Map<String, String> flags) {
    if (file != null) {
      sources.addFile(file);
    }
    sources.addFlags(flags);
    failIfWrong(file);
    Defaults wanted = ofRun().orNull(Config.DEFAULTS);
    failIfWrong(file);
    if (wanted != null) {
      sources.context.defaults = wanted;
    }
    Config config = config();
    failIfWrong(file);
    if (file == null && wanted == null && DiffusersScript.FLAGS.containsAll(flags.keySet())) {
      sayWhatDiffersFromDiffusers(config, flags);
    }
    List<String> all =
        Stream.concat(sources.foreign.remarks().stream(), sources.context.remarks.stream())
            .distinct()
            .toList();
    return new Reading(
        config,
        sources.foreign.unused(),
        sources.foreign.worthNaming(),
        all,
        Setting.of(config, ofRun(), ofConcepts()));
  }

  private void sayWhatDiffersFromDiffusers(Config ours, Map<String, String> flags) {
    Map<String, String> more = new HashMap<>(flags);
    more.put(Config.DEFAULTS.name(), Defaults.DIFFUSERS.toString());
    String line = DiffusersScript.leftOut(ours, read(null, more).config());
    if (!line.isEmpty()) {
      sources.context.remarks.add(line);
    }
  }

  private Values values(List<Layer> layers) {
    return new Values(layers, sources.context);
  }

  /** What is wrong with several keys together is of no line; it names the file, if there is one. */
  private void failIfWrong(@Nullable Path file) {
    List<String> errors =
        sources.context.errors.stream()
            .map(
                error ->
                    file == null || error.contains(file.toString()) || error.startsWith("--")
                        ? error
                        : file + ": " + error)
            .distinct()
            .toList();
    if (!errors.isEmpty()) {
      int more = errors.size() - Sources.MOST_ERRORS;
      String shown = String.join("\n", errors.subList(0, errors.size() - Math.max(0, more)));
      throw Problem.usage(more > 0 ? shown + "\nand %d more".formatted(more) : shown);
    }
  }

  private Values ofRun() {
    return values(List.of(sources.top, sources.flags));
  }

  private List<Values> ofConcepts() {
    return sources.entries.isEmpty()
        ? List.of(ofRun())
        : sources.entries.stream()
            .map(entry -> values(List.of(sources.top, entry, sources.flags)))
            .toList();
  }

  private Config config() {
    Values run = ofRun();
    OutputConfig output = OutputConfig.of(run);
    ConceptReader reader = new ConceptReader(ofConcepts());
    List<ConceptConfig> concepts = reader.concepts(output.outputDir());
    boolean prior = reader.withPriorPreservation(run, concepts);
    TrainingConfig training = TrainingConfig.of(run, prior);
    LoraConfig lora = LoraConfig.of(run, training.trainTextEncoder());
    EmbeddingConfig embedding = EmbeddingConfig.of(run, concepts);
    OptimizerConfig optimizer = OptimizerConfig.of(run, training.trainTextEncoder(), lora.used());
    AnchorConfig anchor = AnchorConfig.of(run, optimizer, lora);
    embedding.check(run, training, lora, optimizer, anchor);
    Config whole =
        new Config(
            ModelConfig.of(run),
            DataConfig.of(run),
            training,
            LossConfig.of(run),
            NoiseConfig.of(run),
            TimestepConfig.of(run),
            optimizer,
            lora,
            embedding,
            EmaConfig.of(run),
            anchor,
            ComputeConfig.of(run),
            MemoryConfig.of(run),
            PriorConfig.of(run, prior, lora.used()),
            concepts,
            SamplesConfig.of(run),
            ValidationConfig.of(run),
            output,
            ReportConfig.of(run));
    whole.data().captions().check(run, whole);
    whole.loss().check(run, lora);
    return whole;
  }
}
