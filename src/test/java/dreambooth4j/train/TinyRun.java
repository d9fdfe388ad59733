package dreambooth4j.train;

import dreambooth4j.FailingFiles;
import dreambooth4j.TestRecords;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.data.Concept;
import dreambooth4j.data.TestPictures;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Device;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.report.RunReport;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A training run of a second: the goldens' model of random weights and five small pictures of two
 * sizes, in a folder of the test's own.
 */
public final class TinyRun {
  /** The base model. */
  public static final Path MODEL = Path.of("src/test/resources/goldens/sd1/model");

  private static final String[] TAGS = {"hat", "beach, dog", "hat", "snow, tree", "red scarf"};

  private final Path folder;
  private final Map<String, String> flags = new LinkedHashMap<>();

  /** Paints the pictures; the run writes to {@code folder/out}. */
  public TinyRun(Path folder) throws IOException {
    this.folder = folder;
    for (int i = 0; i < TAGS.length; i++) {
      int width = i < 3 ? 32 : 48;
      TestPictures.paint(pictures(), "p" + i, width, 32, "sks, man, " + TAGS[i], i);
    }
    with("pretrained_model_name_or_path", MODEL.toString());
    with("instance_data_dir", pictures().toString());
    with("output_dir", output().toString());
    with("instance_token", "sks");
    with("class_token", "man");
    with("resolution", "32");
    with("class_infer_steps", "2");
    with("save_infer_steps", "2");
    with("n_save_sample", "1");
    with("validation_steps", "0");
    with("learning_rate", "0.001");
  }

  /** What the memory of a run is planned for. */
  public static MemoryPlan.Load load(Config config) {
    List<Concept> concepts = Concept.scanAll(config);
    return MemoryPlan.Load.of(config, concepts, ClassImagePlan.of(config, concepts));
  }

  /** The memory plan of a run of {@link #MODEL} on the CPU, which could give so many bytes. */
  public static MemoryForecast forecast(Config config, long available) {
    return forecast(config, Device.CPU, available, 1);
  }

  /** As above, on a device that need not be here, as the first of so many ranks. */
  public static MemoryForecast forecast(Config config, Device device, long available, int ranks) {
    return new MemoryForecast(
        ModelFolder.open(Path.of(config.model().required()), null),
        config,
        load(config),
        device,
        OptionalLong.of(available),
        Ranks.planned(ranks));
  }

  /** Where the instance pictures lie. */
  public Path pictures() {
    return folder.resolve("pictures");
  }

  /** What the run leaves. */
  public Path output() {
    return folder.resolve("out");
  }

  /** Where its class images lie unless class_data_dir says otherwise. */
  public Path classImages() {
    return output().resolve("class_images/sks");
  }

  /** Sets keys of the configuration: {@code key=value key=value}. */
  public TinyRun withOptions(String options) {
    for (String each : options.split(" ", -1)) {
      with(each.substring(0, each.indexOf('=')), each.substring(each.indexOf('=') + 1));
    }
    return this;
  }

  /** Sets a key of the configuration. */
  public TinyRun with(String key, Object value) {
    flags.put(key, value.toString());
    return this;
  }

  /** Computes in a type: one of mixed_precision, or full_bf16. */
  public TinyRun in(String type) {
    boolean full = type.equals("full_bf16");
    return with("mixed_precision", full ? "bf16" : type).with("full_bf16", full);
  }

  /** Leaves a key at its default. */
  public TinyRun without(String key) {
    flags.remove(key);
    return this;
  }

  /** Without class images: no class, no prior loss. */
  public TinyRun withoutClass() {
    return without("class_token").without("class_data_dir");
  }

  /** As many class images as are needed, painted rather than generated. */
  public TinyRun withPaintedClassImages() throws IOException {
    Path dir = folder.resolve("class");
    for (int i = 0; i < TAGS.length; i++) {
      int width = i < 3 ? 32 : 48;
      TestPictures.paint(dir, "c" + i, width, 32, "man, " + TAGS[i], 100 + i);
    }
    return with("class_data_dir", dir);
  }

  /** The configuration as it is set. */
  public Config config() {
    return ConfigReader.read(null, flags).config();
  }

  /** A configuration whose output folder is reached through these files, and that resumes so. */
  static Config through(FailingFiles files, Config config, @Nullable String resume) {
    Map<String, @Nullable Object> values = new HashMap<>();
    values.put("outputDir", files.path(config.output().outputDir()));
    values.put("resumeFromCheckpoint", resume);
    Path cache = config.output().cacheDir();
    if (cache != null) {
      values.put("cacheDir", files.path(cache));
    }
    return TestRecords.with(config, Map.of("output", TestRecords.with(config.output(), values)));
  }

  /** Runs it as its configuration says, without a word. */
  static boolean run(Config config) {
    PrintStream nowhere =
        new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
    Path output = config.output().outputDir();
    try (RunReport report = new RunReport(nowhere, output, List.of(), null, false)) {
      return new TrainingRun(config, report, () -> false).run();
    }
  }

  /** The command line of a run. */
  public List<String> arguments(String command, String... more) {
    List<String> arguments = new ArrayList<>(List.of(command));
    flags.forEach((key, value) -> arguments.add("--" + key + "=" + value));
    arguments.addAll(Arrays.asList(more));
    return arguments;
  }
}
