package dreambooth4j.page;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * {@code run.json}: what a run says of itself beside its metrics, so that its page can be made when
 * it has ended, on another machine too.
 *
 * @param name of what it trains
 * @param state how far it is, or how it ended
 * @param message what ended it, where that was no success; else empty
 * @param began when its first step, or that after the last resumption, was about to begin (ISO)
 * @param ended when it ended (ISO); null while it runs or where it was killed
 * @param steps of the whole training
 * @param resumedAt steps that were done when it was last resumed; 0 for a run in one go
 * @param precision what it computes in, in words
 * @param memory what it needs and needed
 * @param machine versions and machine
 * @param settings the resolved configuration
 * @param classImages some of those that it trains with
 * @param moreClassImages how many there are besides
 * @param warnings what was warned of, the first ones
 * @param moved how far prompts moved, measured at the end; empty where they were not asked
 */
@JsonIgnoreProperties(ignoreUnknown = true)
public record RunRecord(
    String name,
    State state,
    String message,
    String began,
    @Nullable String ended,
    int steps,
    int resumedAt,
    String precision,
    Memory memory,
    List<Fact> machine,
    List<Value> settings,
    List<Shown> classImages,
    int moreClassImages,
    List<String> warnings,
    List<Moved> moved) {
  /** Its name in a run's folder. */
  public static final String FILE = "run.json";

  /** A longer file is none of ours. */
  private static final int MOST_BYTES = 8 << 20;

  private static final JsonMapper JSON = new JsonMapper();

  /** How far a run is. */
  public enum State {
    /** It trains, or was killed. */
    RUNNING("is running, or was killed"),
    /** All steps are done. */
    COMPLETE("is complete"),
    /** It was asked to end. */
    STOPPED("was stopped"),
    /** Its loss or its gradients were not finite. */
    DIVERGED("diverged"),
    /** Something else ended it. */
    FAILED("failed");

    private final String words;

    State(String words) {
      this.words = words;
    }

    /** What is said of the run, after its name. */
    public String words() {
      return words;
    }
  }

  /**
   * Bytes of memory; 0 for what is not known.
   *
   * @param plan what the run's tensors hold at most by its plan
   * @param before what the process had before the run
   * @param ofGpu whether the measurements are the GPU's rather than the process's
   */
  public record Memory(long plan, long before, boolean ofGpu) {}

  /** Something of the machine. */
  public record Fact(String name, String value) {
    /** Fills in what a file lacks. */
    public Fact {
      name = text(name);
      value = text(value);
    }
  }

  /**
   * A value of the resolved configuration.
   *
   * @param concept whose it is; empty for the whole run's
   * @param group heading that it stands under
   * @param origin file and line, or the flag, or "default"
   */
  public record Value(String concept, String group, String key, String value, String origin) {
    /** Fills in what a file lacks. */
    public Value {
      concept = text(concept);
      group = text(group);
      key = text(key);
      value = text(value);
      origin = text(origin);
    }
  }

  /** A class image to be shown; the file may be relative to the run's folder. */
  public record Shown(String file, String prompt) {
    /** Fills in what a file lacks. */
    public Shown {
      file = text(file);
      prompt = text(prompt);
    }
  }

  /**
   * A prompt, and how far the model's answers to it went of the way to the subject's.
   *
   * @param kind why it was asked: subject, class, frequent, rare, control
   * @param towards 0 not at all, 1 all the way; null in what an older version wrote, which kept
   *     another number
   */
  @JsonIgnoreProperties("bleed") // that number
  public record Moved(String prompt, String kind, @Nullable Double towards) {
    /** Fills in what a file lacks. */
    public Moved {
      prompt = text(prompt);
      kind = text(kind);
    }

    /** As the page shows it. */
    String shown() {
      return Printable.number(way(), 2);
    }

    /** Its bar's length. */
    long percent() {
      return Math.round(100 * Math.min(1, Math.max(0, way())));
    }

    private double way() {
      return Objects.requireNonNull(towards);
    }
  }

  /** Fills in what a file lacks. */
  public RunRecord {
    name = text(name);
    state = Objects.requireNonNullElse(state, State.RUNNING);
    message = text(message);
    began = text(began);
    precision = text(precision);
    memory = Objects.requireNonNullElse(memory, new Memory(0, 0, false));
    machine = listed(machine);
    settings = listed(settings);
    classImages = listed(classImages);
    warnings = listed(warnings);
    moved = listed(moved).stream().filter(each -> each.towards() != null).toList();
  }

  private static String text(@Nullable String text) {
    return text == null ? "" : text;
  }

  private static <T> List<T> listed(@Nullable List<T> list) {
    return list == null ? List.of() : list.stream().filter(Objects::nonNull).toList();
  }

  /** The same in another state. */
  public RunRecord as(State now, String why, @Nullable String when, List<String> warned) {
    return new RunRecord(
        name,
        now,
        why,
        began,
        when,
        steps,
        resumedAt,
        precision,
        memory,
        machine,
        settings,
        classImages,
        moreClassImages,
        warned,
        moved);
  }

  /** The same with how far prompts moved. */
  public RunRecord with(List<Moved> measured) {
    return new RunRecord(
        name,
        state,
        message,
        began,
        ended,
        steps,
        resumedAt,
        precision,
        memory,
        machine,
        settings,
        classImages,
        moreClassImages,
        warnings,
        measured);
  }

  /**
   * Reads a run's record.
   *
   * @throws Problem where there is none, or it cannot be read
   */
  static RunRecord read(Path folder) {
    Path file = folder.resolve(FILE);
    if (!Files.exists(file)) {
      throw Problem.data(
          "%s holds no run with a page: there is no %s in it. Give the output_dir of a run of train"
              .formatted(folder, FILE));
    }
    try {
      RunRecord record = JSON.readValue(RegularFile.bytes(file, MOST_BYTES), RunRecord.class);
      if (record != null) {
        return record;
      }
    } catch (IOException e) {
      throw unreadable(file, e);
    }
    throw unreadable(file, null);
  }

  private static Problem unreadable(Path file, @Nullable Throwable cause) {
    return new Problem(
        Problem.Kind.DATA,
        "%s is damaged or was not written by train: delete it, and resume the run to have it written again"
            .formatted(file),
        cause);
  }

  /**
   * Writes it, whole or not at all.
   *
   * @throws Problem if it cannot be written
   */
  public void write(Path folder) {
    try {
      String text = JSON.writerWithDefaultPrettyPrinter().writeValueAsString(this) + "\n";
      StagedFiles.write(folder.resolve(FILE), text.getBytes(StandardCharsets.UTF_8));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
