package dreambooth4j.report;

import dreambooth4j.Problem;
import dreambooth4j.config.Setting;
import dreambooth4j.data.ClassImage;
import dreambooth4j.engine.Device;
import dreambooth4j.evaluate.BleedResult;
import dreambooth4j.evaluate.Probe;
import dreambooth4j.page.RunPage;
import dreambooth4j.page.RunRecord;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.RunListener;
import dreambooth4j.verify.Doctor;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Keeps {@code run.json} while a run goes and leaves {@code report.html} at its end. Before the
 * first step it writes nothing: the folder may still hold an earlier run's.
 */
final class RunRecorder {
  private static final int MOST_CLASS_IMAGES = 48;
  private static final int MOST_WARNINGS = 50;

  /** Facts of the machine that say nothing of a run. */
  private static final Set<String> ELSEWHERE = Set.of("libraries", "natives", "CPU features");

  private final Path output;
  private final List<RunRecord.Value> settings;
  private final List<RunRecord.Shown> classImages = new ArrayList<>();
  private final List<String> warnings = new ArrayList<>();
  private int moreClassImages;
  private @Nullable RunRecord record;

  RunRecorder(Path output, List<Setting> settings) {
    this.output = output;
    this.settings =
        settings.stream()
            .map(
                each ->
                    new RunRecord.Value(
                        each.concept(), each.group(), each.key(), each.value(), each.origin()))
            .toList();
  }

  /** The class images that it trains with: of each caption one, then another of each. */
  void paired(ClassImagePlan plan) {
    classImages.clear();
    for (int i = 0; classImages.size() < MOST_CLASS_IMAGES; i++) {
      int before = classImages.size();
      for (ClassImagePlan.Need need : plan.needs()) {
        if (i < need.present().size() && classImages.size() < MOST_CLASS_IMAGES) {
          classImages.add(shown(need.present().get(i)));
        }
      }
      if (classImages.size() == before) {
        break;
      }
    }
    moreClassImages =
        plan.needs().stream().mapToInt(need -> need.present().size()).sum() - classImages.size();
  }

  /** Within the run's folder by a relative name, so that the folder may move. */
  private RunRecord.Shown shown(ClassImage image) {
    Path file = image.file().toAbsolutePath().normalize();
    Path folder = output.toAbsolutePath().normalize();
    Path named = file.startsWith(folder) ? folder.relativize(file) : file;
    return new RunRecord.Shown(named.toString(), image.prompt());
  }

  void warning(String message) {
    if (warnings.size() < MOST_WARNINGS) {
      warnings.add(message);
    }
  }

  /**
   * Writes that the run has begun.
   *
   * @param forecast its memory plan; null if none was made
   * @param memoryBefore what the process had before
   */
  void begin(
      String name,
      RunListener.Beginning beginning,
      @Nullable MemoryForecast forecast,
      OptionalLong memoryBefore) {
    boolean gpu = forecast != null && forecast.plan().device() == Device.CUDA;
    record =
        new RunRecord(
            name,
            RunRecord.State.RUNNING,
            "",
            now(),
            null,
            beginning.steps(),
            beginning.done(),
            beginning.precision(),
            new RunRecord.Memory(
                forecast == null ? 0 : forecast.plan().tensors(),
                gpu ? 0 : memoryBefore.orElse(0),
                gpu),
            machine(),
            settings,
            List.copyOf(classImages),
            moreClassImages,
            List.copyOf(warnings),
            List.of());
    record.write(output);
  }

  private static List<RunRecord.Fact> machine() {
    return Doctor.facts(false).stream()
        .filter(fact -> !ELSEWHERE.contains(fact.name()))
        .map(fact -> new RunRecord.Fact(fact.name(), fact.value()))
        .toList();
  }

  /**
   * Writes how the run has ended, and its page.
   *
   * @return the page; null where the run had not begun
   * @throws Problem if one of them cannot be written
   */
  @Nullable Path end(RunRecord.State state, String message) {
    if (record == null) {
      return null;
    }
    record = record.as(state, message, now(), List.copyOf(warnings));
    record.write(output);
    return RunPage.write(output);
  }

  /**
   * Writes how far prompts moved, and the page of an ended run anew with it.
   *
   * @throws Problem if one of them cannot be written
   */
  void moved(BleedResult result) {
    if (record == null) {
      return;
    }
    List<RunRecord.Moved> moved = new ArrayList<>();
    for (BleedResult.Row row : result.rows()) {
      Probe asked = row.probe();
      moved.add(
          new RunRecord.Moved(asked.prompt(), asked.kind().toString(), row.towards().value()));
    }
    record = record.with(moved);
    record.write(output);
    RunPage.write(output);
  }

  private static String now() {
    return Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
  }
}
