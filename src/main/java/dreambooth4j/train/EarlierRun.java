package dreambooth4j.train;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.weights.FolderChanges;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What an earlier run left in the output folder of one that does not continue it, so that it is
 * neither written over nor taken for the new run's. It is set aside under names with one number:
 * {@code metrics-1.jsonl}, {@code checkpoints-1/checkpoint-500}. Where the new run goes on from a
 * step of the earlier one, what was left up to that step is the new run's too and stays; metrics
 * and configuration, which are of both, are copied.
 */
final class EarlierRun {
  private static final String METRICS = "metrics.jsonl";
  private static final String SAMPLES = "samples";

  /** Files that are of the whole run, and where they are set aside by number. */
  private static final List<Map.Entry<String, String>> FILES =
      List.of(
          Map.entry(METRICS, "metrics-%d.jsonl"),
          Map.entry("config.yaml", "config-%d.yaml"),
          Map.entry("run.json", "run-%d.json"),
          Map.entry("report.html", "report-%d.html"));

  private static final String SAMPLES_ASIDE = "samples-%d";
  private static final String LOGS_ASIDE = "logs-%d";
  private static final String CHECKPOINTS_ASIDE = "checkpoints-%d";
  private static final String MODELS_ASIDE = "models-%d";
  private static final String CLASS_IMAGES_ASIDE = "refreshed_class_images-%d";

  private static final Pattern CHECKPOINT = Pattern.compile("checkpoint-(\\d{1,10})");
  private static final Pattern MODEL = Pattern.compile("model-(\\d{1,10})");
  private static final Pattern CLASS_IMAGES = Pattern.compile("class_images-(\\d{1,10})");
  private static final Pattern SAMPLE = Pattern.compile("(\\d{6,10})-.*");

  private final Path folder;
  private final long kept;

  /** What is moved, and where to with a number. */
  private final Map<Path, String> moves = new LinkedHashMap<>();

  /** What is copied, and where to with a number. */
  private final Map<Path, String> copies = new LinkedHashMap<>();

  /**
   * Looks through a folder.
   *
   * @param kept the step of the earlier run that the new one goes on from; -1 if from none
   */
  EarlierRun(Path folder, long kept) throws IOException {
    this.folder = folder;
    this.kept = kept;
    find(folder, CHECKPOINT, CHECKPOINTS_ASIDE);
    find(folder, MODEL, MODELS_ASIDE);
    if (kept >= 0) {
      find(folder.resolve(SAMPLES), SAMPLE, SAMPLES_ASIDE);
    } else {
      find(folder, CLASS_IMAGES, CLASS_IMAGES_ASIDE);
    }
    Path best = folder.resolve(OutputFolder.BEST);
    if (Files.isDirectory(best) && (kept < 0 || !moves.isEmpty())) {
      moves.put(best, MODELS_ASIDE + "/" + OutputFolder.BEST);
    }
    Path metrics = folder.resolve(METRICS);
    if (moves.isEmpty() && (kept >= 0 || Files.notExists(metrics) || Files.size(metrics) == 0)) {
      return;
    }
    Map<Path, String> files = kept >= 0 ? copies : moves;
    FILES.forEach(each -> files.put(folder.resolve(each.getKey()), each.getValue()));
    if (kept < 0) {
      moves.put(folder.resolve(SAMPLES), SAMPLES_ASIDE);
      moves.put(folder.resolve("logs"), LOGS_ASIDE);
    }
  }

  /** Takes what lies in a folder under names with a number beyond what is kept. */
  private void find(Path in, Pattern name, String place) throws IOException {
    if (!Files.isDirectory(in)) {
      return;
    }
    for (Path file : FolderEntries.of(in)) {
      Matcher matcher = name.matcher(String.valueOf(file.getFileName()));
      boolean whole = name == SAMPLE || Files.isDirectory(file);
      if (matcher.matches() && Long.parseLong(matcher.group(1)) > kept && whole) {
        moves.put(file, place + "/" + file.getFileName());
      }
    }
  }

  /**
   * Refuses a file that a run needs to its end, or when it is resumed, where the run may set it
   * aside.
   *
   * @param what what it is, in words
   * @throws Problem of kind USAGE
   */
  static void requireElsewhere(Path folder, Path file, String what) throws IOException {
    if (!Files.exists(file) || !file.toRealPath().startsWith(folder.toRealPath())) {
      return;
    }
    Path inside = folder.toRealPath().relativize(file.toRealPath());
    String name = inside.getName(0).toString();
    if (name.equals(OutputFolder.BEST) || MODEL.matcher(name).matches()) {
      throw Problem.usage(
          "%s, %s, is in a folder of output_dir that this run would move aside together with the files of an earlier run: move %s out of output_dir first, or give another output_dir"
              .formatted(what, file, folder.resolve(name)));
    }
  }

  /**
   * Sets it aside among other changes of the folder.
   *
   * @return a note that says where it is, how large, and that it may be deleted; null if there is
   *     none
   */
  @Nullable String setAside(FolderChanges changes) throws IOException {
    if (moves.isEmpty()) {
      return null;
    }
    int number = free();
    long bytes = 0;
    Set<Path> aside = new TreeSet<>();
    for (var each : moves.entrySet()) {
      if (Files.exists(each.getKey())) {
        bytes += bytes(each.getKey());
        changes.move(each.getKey(), place(each.getValue(), number));
        aside.add(folder.relativize(place(each.getValue(), number)).getName(0));
      }
    }
    for (var each : copies.entrySet()) {
      if (Files.exists(each.getKey())) {
        bytes += bytes(each.getKey());
        changes.add(place(each.getValue(), number), StagedFiles.Body.of(each.getKey()));
        aside.add(folder.relativize(place(each.getValue(), number)).getName(0));
      }
    }
    return "%s holds %s: its files besides the model, %s, were moved to %s, which you may delete, since no run needs it. The model is replaced at the end of this run"
        .formatted(
            folder,
            kept < 0 ? "an earlier run" : "the steps of an earlier run after step " + kept,
            ProcessMemory.shown(bytes),
            aside.stream().map(Path::toString).collect(Collectors.joining(", ")));
  }

  /**
   * Sets aside the best model alone among other changes of the folder, for those to come are not
   * compared with it.
   *
   * @return where it will lie; null if there is none
   */
  static @Nullable Path setBestAside(Path folder, FolderChanges changes) throws IOException {
    Path best = folder.resolve(OutputFolder.BEST);
    if (!Files.isDirectory(best)) {
      return null;
    }
    EarlierRun run = new EarlierRun(folder, Long.MAX_VALUE);
    Path place = run.place(MODELS_ASIDE + "/" + OutputFolder.BEST, run.free());
    changes.move(best, place);
    return place;
  }

  /** Of a file, or of all files below a folder. */
  private static long bytes(Path path) throws IOException {
    long bytes = 0;
    for (Path each : Files.isDirectory(path) ? FolderEntries.below(path) : List.of(path)) {
      bytes += Files.isRegularFile(each, LinkOption.NOFOLLOW_LINKS) ? Files.size(each) : 0;
    }
    return bytes;
  }

  private Path place(String name, int number) {
    return folder.resolve(name.replace("%d", Integer.toString(number)));
  }

  /** The first number under which nothing was set aside. */
  private int free() {
    int number = 1;
    while (isTaken(number)) {
      number++;
    }
    return number;
  }

  private boolean isTaken(int number) {
    Stream<String> folders =
        Stream.of(SAMPLES_ASIDE, LOGS_ASIDE, CHECKPOINTS_ASIDE, MODELS_ASIDE, CLASS_IMAGES_ASIDE);
    return Stream.concat(FILES.stream().map(Map.Entry::getValue), folders)
        .anyMatch(name -> Files.exists(place(name, number)));
  }
}
