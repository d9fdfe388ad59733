package dreambooth4j.config;

import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.ArrayList;
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
   * @param remarks one line for each value that means something else here
   */
  public record Reading(Config config, List<String> noEffect, List<String> remarks) {
    private static final int COLUMNS = 100;

    /** All of it as lines for people; empty if there is nothing to say. */
    public List<String> notes() {
      List<String> lines = new ArrayList<>(remarks);
      StringBuilder line = new StringBuilder("read, no effect here:");
      for (String key : noEffect) {
        if (line.length() + key.length() >= COLUMNS) {
          lines.add(line.toString());
          line.setLength(0);
          line.append(' ');
        }
        line.append(' ').append(key);
      }
      if (!noEffect.isEmpty()) {
        lines.add(line.toString());
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
    failIfWrong();
    Values run = values(List.of(sources.top, sources.flags));
    List<Values> concepts =
        sources.entries.isEmpty()
            ? List.of(run)
            : sources.entries.stream()
                .map(entry -> values(List.of(sources.top, entry, sources.flags)))
                .toList();
    Config config = config(run, concepts);
    failIfWrong();
    List<String> all =
        Stream.concat(sources.foreign.remarks().stream(), sources.remarks.stream())
            .distinct()
            .toList();
    return new Reading(config, sources.foreign.unused(), all);
  }

  private Values values(List<Layer> layers) {
    return new Values(layers, sources);
  }

  private void failIfWrong() {
    List<String> errors = sources.errors.stream().distinct().toList();
    if (!errors.isEmpty()) {
      int more = errors.size() - Sources.MOST_ERRORS;
      String shown = String.join("\n", errors.subList(0, errors.size() - Math.max(0, more)));
      throw Problem.usage(more > 0 ? shown + "\nand %d more".formatted(more) : shown);
    }
  }

  private static Config config(Values run, List<Values> conceptValues) {
    OutputConfig output = OutputConfig.of(run);
    ConceptReader reader = new ConceptReader(conceptValues);
    List<ConceptConfig> concepts = reader.concepts(output.outputDir());
    boolean prior = reader.withPriorPreservation(run, concepts);
    return new Config(
        ModelConfig.of(run),
        DataConfig.of(run),
        TrainingConfig.of(run, prior),
        OptimizerConfig.of(run),
        EmaConfig.of(run),
        ComputeConfig.of(run),
        MemoryConfig.of(run),
        PriorConfig.of(run, prior),
        concepts,
        SamplesConfig.of(run),
        output);
  }
}
