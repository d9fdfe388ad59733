package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.report.MetricsFile;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A run that is killed, or whose disk fails, at any of the calls that change something: the model
 * that lies there is wholly an old or the new one, or is refused until the next run has finished
 * it, and the next run comes to the same end as one that nothing happened to.
 */
class KilledAnywhereTest {
  /** What a run saves, and what an earlier one saved whose place it takes. */
  private enum Form {
    FOLDER(0, "save_model_as=diffusers", "save_model_as=diffusers"),
    FILE(1, "save_model_as=safetensors", "save_model_as=diffusers"),
    BOTH(2, "save_model_as=both", "save_model_as=safetensors"),
    LORA(3, "use_lora=true lora_rank=2 lora_files=both", "save_model_as=both");

    private final int first;
    private final String options;
    private final String older;

    Form(int first, String options, String older) {
      this.first = first;
      this.options = options;
      this.older = older;
    }
  }

  /** Files of what trains, as a model or a checkpoint. */
  private static final String WEIGHTS =
      "(.*/)?((unet|text_encoder)/.*|checkpoint-\\d+/.*|[^/]*)\\.safetensors";

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private Path base;

  @BeforeEach
  void smallModel() throws IOException {
    base = TinyModel.small(folder.resolve("base"));
  }

  private TinyRun tiny(String name, String options) throws IOException {
    return new TinyRun(folder.resolve(name))
        .with("pretrained_model_name_or_path", base)
        .withoutClass()
        .with("train_text_encoder", true)
        .with("n_save_sample", 0)
        .with("cache_latents", false)
        .with("checkpoints_total_limit", 1)
        .with("save_model_every", 1)
        .withOptions(options);
  }

  /** The configuration of a run that reaches its output folder through these files. */
  private static Config through(FailingFiles files, Config config, boolean latest) {
    return TinyRun.through(files, config, latest ? "latest" : null);
  }

  /** All files of a folder by name, with what tells the content of models and checkpoints. */
  private static Map<String, String> content(Path output) throws IOException {
    Map<String, String> content = new TreeMap<>();
    try (Stream<Path> files = Files.walk(output)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        String name = output.relativize(file).toString();
        content.put(name, name.matches(WEIGHTS) ? TinyModel.numbers(file) : "");
      }
    }
    return content;
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Path place = to.resolve(from.relativize(file));
        if (Files.isDirectory(file)) {
          Files.createDirectories(place);
        } else {
          Files.createDirectories(place.getParent());
          Files.createLink(place, file); // whatever is changed there is written anew
        }
      }
    }
  }

  private static void clear(Path folder) throws IOException {
    if (Files.exists(folder)) {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  /** What tells the weights of the model that lies there, or that changes are pending. */
  private static String model(Path output) throws IOException {
    if (Files.exists(output.resolve(".dreambooth-changes"))) {
      if (Files.exists(output.resolve("model_index.json"))) {
        assertThatExceptionOfType(Problem.class)
            .isThrownBy(() -> ModelFolder.open(output, null))
            .withMessageContaining("start one with output_dir " + output);
      }
      return "pending";
    }
    Map<String, String> model = content(output);
    model.keySet().removeIf(name -> !name.matches("((unet|text_encoder)/)?[^/]*\\.safetensors"));
    return model.toString();
  }

  /** What a run does to its folder, in its order, with a trainer that has done a step. */
  private static void changes(TinyTrainer trained, Config config) {
    ModelSource base = ModelSource.find(config.model().required(), ModelOptions.NONE);
    OutputFolder.recover(config.output().outputDir());
    Checkpoints checkpoints = new Checkpoints(config.output());
    Start start = checkpoints.start();
    Path metricsFile = config.output().outputDir().resolve("metrics.jsonl");
    try (OutputFolder output = OutputFolder.take(config, base)) {
      output.start(start);
      if (!start.continues()) {
        output.begin(start);
      }
      output.write(config);
      try (MetricsFile metrics = new MetricsFile(metricsFile, 0)) {
        trained.reports.forEach(each -> metrics.add(each, MetricsFile.Memory.UNKNOWN));
      }
      checkpoints.save(trained.trainer);
      checkpoints.removeOld();
      Path place = config.output().outputDir();
      Map<String, String> notes = TextEncoding.of(config.model()).notes();
      if (!new Saver(trained.session(config), checkpoints).hasModelOnTheWay()) {
        trained.model.save(trained.run, notes, OutputFolder.modelOnTheWay(place, 1));
      }
      trained.model.save(trained.run, notes, place);
      output.end();
    }
  }

  /** Whether a run that is over left word that latest goes on. */
  private static boolean isStarted(Path output) {
    return Mark.STARTING.isIn(output)
        || Mark.UNFINISHED.isIn(output)
        || Files.exists(output.resolve(".dreambooth-changes"));
  }

  /**
   * What is done to the folder, without the training between: killed at every single call, of many
   * writes to one file at the first and the last. Other forms of a model, which are staged by the
   * same code, are tried at every third one, a disk that is full or fails at every fifth, each form
   * at others; each at every kind of call at least once.
   */
  @ParameterizedTest
  @EnumSource
  void shouldHaveOneModelAndGoOnFromEveryCallOfARunOverAnOlderOne(Form form) throws IOException {
    TinyRun older = tiny("older", form.older).with("max_train_steps", 2);
    assertThat(TinyRun.run(older.with("save_state_after", true).config())).isTrue();
    TinyRun tiny = tiny("new", form.options).with("learning_rate", 0.01);
    try (TinyTrainer trained = new TinyTrainer(tiny).train(1)) {
      Over over = new Over(older.output(), tiny.output(), trained);
      over.isSound(FailingFiles.How.KILLED, form.first, form == Form.FOLDER ? 1 : 3);
      over.isSound(FailingFiles.How.FULL, form.first, 5);
      over.isSound(FailingFiles.How.ERROR, form.first + 1, 5);
    }
  }

  /** A run over an older one. */
  private record Over(Path older, Path output, TinyTrainer trained) {
    private void begin() throws IOException {
      clear(output);
      copy(older, output);
    }

    private String fails(FailingFiles failing) throws IOException {
      try (failing) {
        changes(trained, through(failing, trained.config, false));
      } catch (FailingFiles.Killed | Problem e) {
        return failing.failed() + ": " + e.getMessage();
      }
      return failing.failed() + ": nobody minded";
    }

    /**
     * Each so many calls, and the first of any kind (write, move, delete ...) that is not there.
     */
    private static Collection<Integer> someOfEachKind(FailingFiles files, int first, int every) {
      List<Integer> turns = files.turns();
      Map<String, Integer> ofKind = new HashMap<>();
      Collection<Integer> some = new TreeSet<>();
      for (int i = first; i < turns.size(); i += every) {
        some.add(turns.get(i));
        ofKind.put(kind(files, turns.get(i)), turns.get(i));
      }
      turns.forEach(call -> ofKind.putIfAbsent(kind(files, call), call));
      some.addAll(ofKind.values());
      return some;
    }

    private static String kind(FailingFiles files, int call) {
      return files.names().get(call - 1).replaceFirst(" .*", "");
    }

    void isSound(FailingFiles.How how, int first, int every) throws IOException {
      begin();
      String old = model(output);
      FailingFiles counting = new FailingFiles(how, 0);
      changes(trained, through(counting, trained.config, false));
      Map<String, String> expected = content(output);
      String fresh = model(output);
      assertThat(fresh).isNotEqualTo(old);
      assertThat(counting.turns()).hasSizeGreaterThan(60);
      for (int call : someOfEachKind(counting, first, every)) {
        begin();
        FailingFiles failing = new FailingFiles(how, call);
        String what = "%s at call %d, ".formatted(how, call) + fails(failing);
        assertThat(model(output)).as(what).isIn(old, fresh, "pending");
        boolean started = isStarted(output);
        if (!model(output).equals(fresh) || started) {
          changes(trained, through(new FailingFiles(how, 0), trained.config, started));
        }
        assertThat(content(output)).as(what).isEqualTo(expected);
      }
    }
  }

  /** Whole runs, here and there: class images, samples, caches and steps too. */
  @Test
  void shouldComeToTheSameWeightsWhereverAWholeRunWasKilled() throws IOException {
    TinyRun tiny =
        new TinyRun(folder.resolve("whole"))
            .with("pretrained_model_name_or_path", base)
            .with("max_train_steps", 4)
            .with("checkpointing_steps", 2)
            .with("save_model_every", 2)
            .with("validation_steps", 2)
            .with("checkpoints_total_limit", 1)
            .with("save_state_after", true)
            .with("use_ema", true)
            .with("ema_warmup", "ratio");
    FailingFiles counting = new FailingFiles(FailingFiles.How.KILLED, 0);
    assertThat(TinyRun.run(through(counting, tiny.config(), false))).isTrue();
    Map<String, String> expected = content(tiny.output());
    int points = 7;
    for (int i = 1; i <= points; i++) {
      clear(tiny.output());
      int call = counting.calls() * i / (points + 1);
      String what = "call " + call;
      try (FailingFiles failing = new FailingFiles(FailingFiles.How.KILLED, call)) {
        TinyRun.run(through(failing, tiny.config(), false));
        throw new AssertionError(what + " killed nothing");
      } catch (FailingFiles.Killed e) {
        what += ", " + e.getMessage();
      }
      boolean started = isStarted(tiny.output());
      FailingFiles sound = new FailingFiles(FailingFiles.How.KILLED, 0);
      assertThat(TinyRun.run(through(sound, tiny.config(), started))).as(what).isTrue();
      assertThat(content(tiny.output())).as(what).isEqualTo(expected);
    }
  }
}
