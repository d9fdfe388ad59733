package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import dreambooth4j.config.Config;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.report.MetricsFile;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A run that is killed, or whose disk fails, at any of the calls that change something: the model
 * that lies there is wholly an old or the new one, or is refused until the next run has finished
 * it, and the next run comes to the same end as one that nothing happened to.
 */
class KilledAnywhereTest {
  private static final List<String> TRAINED =
      List.of("unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors");

  @TempDir Path folder;

  private TinyRun tiny(String name) throws IOException {
    return new TinyRun(folder.resolve(name))
        .withoutClass()
        .with("train_text_encoder", true)
        .with("n_save_sample", 0)
        .with("cache_latents", false)
        .with("checkpoints_total_limit", 1);
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
        boolean told = TRAINED.contains(name) || name.contains("checkpoint");
        content.put(name, told ? Sha256.of(file) : "");
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

  /** Which model lies there: "none", "refused", or what tells its trained weights. */
  private static String model(Path output) throws IOException {
    if (!Files.exists(output.resolve("model_index.json"))) {
      return "none";
    }
    try {
      ModelFolder.open(output, null);
    } catch (Problem e) {
      assertThat(e).hasMessageContaining("start one with this output_dir");
      return "refused";
    }
    StringBuilder told = new StringBuilder();
    for (String each : TRAINED) {
      told.append(Sha256.of(output.resolve(each))).append('\n');
    }
    return told.toString();
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
      trained.model.save(
          trained.run, TextEncoding.of(config.model()).notes(), config.output().outputDir());
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
   * writes to one file at the first and the last.
   */
  @ParameterizedTest
  @CsvSource({"KILLED, 1", "FULL, 5", "ERROR, 5"})
  void shouldHaveOneModelAndGoOnFromEveryCallOfARunOverAnOlderOne(FailingFiles.How how, int every)
      throws IOException {
    TinyRun older = tiny("older").with("max_train_steps", 2).with("save_state_after", true);
    assertThat(TinyRun.run(older.config())).isTrue();
    Path output = folder.resolve("new/out");
    try (TinyTrainer trained = new TinyTrainer(tiny("new").with("learning_rate", 0.01)).train(1)) {
      Config config = trained.config;
      clear(output);
      copy(older.output(), output);
      String old = model(output);
      FailingFiles counting = new FailingFiles(how, 0);
      changes(trained, through(counting, config, false));
      Map<String, String> expected = content(output);
      String fresh = model(output);
      assertThat(fresh).isNotEqualTo(old);
      assertThat(counting.calls()).isGreaterThan(60);

      List<Integer> calls = counting.turns();
      for (int i = 0; i < calls.size(); i += every) {
        int call = calls.get(i);
        clear(output);
        copy(older.output(), output);
        FailingFiles failing = new FailingFiles(how, call);
        String what = "call %d, ".formatted(call) + fails(failing, trained, config);
        assertThat(model(output)).as(what).isIn(old, fresh, "refused", "none");
        boolean started = isStarted(output);
        if (model(output).equals("none")) {
          assertThat(output.resolve(".dreambooth-changes")).as(what).exists();
        }
        if (!model(output).equals(fresh) || started) {
          changes(trained, through(new FailingFiles(how, 0), config, started));
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

  private static String fails(FailingFiles failing, TinyTrainer trained, Config config)
      throws IOException {
    try (failing) {
      changes(trained, through(failing, config, false));
    } catch (FailingFiles.Killed | Problem e) {
      return failing.failed() + ": " + e.getMessage();
    }
    return failing.failed() + ": nobody minded";
  }
}
