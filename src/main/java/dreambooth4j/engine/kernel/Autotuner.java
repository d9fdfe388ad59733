package dreambooth4j.engine.kernel;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Sha256;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Of several ways to compute the same, the fastest on this machine: found by trial when it is first
 * asked for, and remembered in a file, so that the next process takes the same one. For GPUs alone:
 * on a CPU a choice by the clock would make runs differ from one another.
 *
 * <p>The file is {@code <subject>-<hash of the machine>.json}. It appears whole or not at all; one
 * that is damaged is written anew, and where it cannot be written the choices last as long as the
 * process. Two processes that try at once may choose differently: the later one's file stays. One
 * thread uses it.
 */
public final class Autotuner {
  /**
   * A way to compute something.
   *
   * @param name what is remembered of it
   * @param trial runs it and says how long that took, in any unit; throws where it cannot be done
   */
  public record Candidate(String name, DoubleSupplier trial) {}

  private static final JsonMapper MAPPER = new JsonMapper();
  private static final String MACHINE = "machine";
  private static final String CHOICES = "choices";

  private final Path file;
  private final String machine;
  private final Map<String, String> known = new LinkedHashMap<>();

  /**
   * Choices of one kind.
   *
   * @param folder where the file lies; it is made when the first choice is remembered
   * @param subject what is chosen, such as {@code attention}: the file's name begins with it
   * @param machine all that times depend on beside the key: device, driver, libraries
   */
  public Autotuner(Path folder, String subject, String machine) {
    this.machine = machine;
    file = folder.resolve(subject + "-" + Sha256.of(machine).substring(0, 16) + ".json");
    known.putAll(stored());
  }

  /** Choices for the current CUDA device, beside the {@linkplain KernelCache#ofUser kernels}. */
  public static Autotuner ofUser(String subject) {
    String machine =
        "%s, driver %s, libtorch %s"
            .formatted(CudaDevice.name(), CudaDevice.driver(), CudaDevice.libraries());
    return new Autotuner(KernelCache.folderOfUser(), subject, machine);
  }

  /**
   * The name of the candidate to take. A single one is taken untried; one whose trial throws is out
   * of the question.
   *
   * @param key what is computed: kind, sizes and types, in a line
   * @throws IllegalStateException when no candidate can do it; what each said is suppressed in it
   */
  public String choose(String key, List<Candidate> candidates) {
    String before = known.get(key);
    if (before != null && candidates.stream().anyMatch(each -> each.name.equals(before))) {
      return before;
    }
    if (candidates.size() == 1) {
      return candidates.get(0).name;
    }
    String fastest = fastest(key, candidates);
    known.put(key, fastest);
    store();
    return fastest;
  }

  private static String fastest(String key, List<Candidate> candidates) {
    IllegalStateException failures = new IllegalStateException("nothing computes " + key);
    String fastest = null;
    double least = Double.POSITIVE_INFINITY;
    for (Candidate each : candidates) {
      try {
        double time = each.trial.getAsDouble();
        if (fastest == null || time < least) {
          fastest = each.name;
          least = time;
        }
      } catch (RuntimeException e) {
        failures.addSuppressed(e);
      }
    }
    if (fastest == null) {
      throw failures;
    }
    return fastest;
  }

  private Map<String, String> stored() {
    Map<String, String> choices = new LinkedHashMap<>();
    JsonNode root = read();
    if (root != null && machine.equals(root.path(MACHINE).textValue())) {
      root.path(CHOICES)
          .properties()
          .forEach(
              each -> {
                if (each.getValue().isTextual()) {
                  choices.put(each.getKey(), each.getValue().textValue());
                }
              });
    }
    return choices;
  }

  private @Nullable JsonNode read() {
    try {
      return MAPPER.readTree(file.toFile());
    } catch (IOException e) {
      return null; // none yet, or damaged: what it held is tried again
    }
  }

  /** Writes all choices, those that other processes made meanwhile among them. */
  private void store() {
    Map<String, String> all = stored();
    all.putAll(known);
    ObjectNode root = MAPPER.createObjectNode().put(MACHINE, machine);
    ObjectNode choices = root.putObject(CHOICES);
    all.forEach(choices::put);
    try {
      KernelCache.keep(file, MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(root));
    } catch (IOException e) {
      // What cannot be remembered is tried again by the next process.
    }
  }
}
