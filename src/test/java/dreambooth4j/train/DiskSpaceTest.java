package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiskSpaceTest {
  @TempDir Path folder;

  private static String note(Session session, List<Path> there, long free) {
    return String.join("; ", DiskSpace.notes(session, there, free));
  }

  private static long sum(Map<Path, Long> bytes) {
    return bytes.values().stream().mapToLong(Long::longValue).sum();
  }

  private TinyRun tiny() throws IOException {
    TinyRun run = new TinyRun(folder).withoutClass().with("use_ema", true);
    return run.with("max_train_steps", 10).with("checkpointing_steps", 2);
  }

  @Test
  void shouldKnowBeforehandWhatWillNotFit() throws IOException {
    try (TinyTrainer tiny = new TinyTrainer(tiny())) {
      Session session = tiny.session(tiny.config);
      Map<Path, Long> files = tiny.model.files(tiny.run, folder);
      long model = sum(files);
      long flat = tiny.model.trained().get(0).parameters().flatCount();
      long checkpoint = 4 * 4 * flat + 4; // weights, two moments, average; the count of steps
      assertThat(DiskSpace.notes(session, List.of(), model + 4 * checkpoint)).isEmpty();
      assertThat(note(session, List.of(), model + 4 * checkpoint - 1))
          .contains("beside the model 3 of the 4 checkpoints", "checkpoints_total_limit");
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> DiskSpace.requireModelFits(files, folder, model - 1))
          .withMessageContaining("the trained model takes");
      DiskSpace.requireModelFits(files, folder, model);
      DiskSpace.requireModelFits(files, folder, 0); // nobody knows
      assertThat(DiskSpace.notes(session, List.of(), 0)).isEmpty();
      Path saved = folder.resolve("checkpoint");
      tiny.trainer.save(saved);
      assertThat(Files.size(saved.resolve("training_state.safetensors")))
          .as("as much as was reckoned with, the header aside")
          .isBetween(checkpoint, checkpoint + 20_000);
    }
  }

  /** What did not train is copied once; from then on only what trains is written. */
  @Test
  void shouldCountWhatTheFirstSaveCopies() throws IOException {
    Path output = folder.resolve("model");
    try (TinyTrainer tiny = new TinyTrainer(tiny())) {
      long first = sum(tiny.model.files(tiny.run, output));
      tiny.model.save(tiny.run, Map.of(), output);
      long written = 0;
      try (Stream<Path> files = Files.walk(output)) {
        for (Path file : files.filter(Files::isRegularFile).toList()) {
          written += Files.size(file);
        }
      }
      long weights = 4 * tiny.model.trained().get(0).parameters().count();
      assertThat(first).isBetween(written - 50_000, written).isGreaterThan(weights * 5 / 4);
      assertThat(sum(tiny.model.files(tiny.run, output))).isBetween(weights, weights + 2_000);
    }
  }

  @Test
  void shouldSayThatModelsOnTheWayDoNotFitWhereThereAreNoCheckpoints() throws IOException {
    TinyRun run = tiny().with("checkpointing_steps", 0).with("save_model_every", 3);
    try (TinyTrainer tiny = new TinyTrainer(run)) {
      Session session = tiny.session(tiny.config);
      long model = sum(tiny.model.files(tiny.run, folder));
      assertThat(DiskSpace.notes(session, List.of(), 4 * model)).isEmpty();
      assertThat(note(session, List.of(), 4 * model - 1))
          .contains("the 3 of save_model_every take", "are not saved", "free space there");
      Path onTheWay = OutputFolder.modelOnTheWay(tiny.config.output().outputDir(), 3);
      assertThat(DiskSpace.leavesRoomForTheLast(session, onTheWay, 2 * model)).isTrue();
      assertThat(DiskSpace.leavesRoomForTheLast(session, onTheWay, 2 * model - 1)).isFalse();
      assertThat(DiskSpace.leavesRoomForTheLast(session, onTheWay, 0)).as("nobody knows").isTrue();
      run.with("save_model_every", 0);
    }
    try (TinyTrainer tiny = new TinyTrainer(run)) {
      long model = sum(tiny.model.files(tiny.run, folder));
      assertThat(note(tiny.session(tiny.config), List.of(), model - 1))
          .contains("the trained model takes");
    }
  }

  /** On the disk of a run: a model on the way and a best one, beside which the last has no room. */
  @Test
  void shouldLeaveOutAModelBesideWhichTheLastDoesNotFit() throws IOException {
    try (TinyTrainer tiny = new TinyTrainer(tiny())) {
      Path output = Files.createDirectories(tiny.config.output().outputDir());
      long model = sum(tiny.model.files(tiny.run, output));
      List<String> warnings = new ArrayList<>();
      Saver little = saver(tiny, 2 * model - 1, warnings);
      little.modelOnTheWay();
      assertThat(little.bestModel()).isFalse();
      assertThat(warnings)
          .hasSize(2)
          .allMatch(
              each ->
                  each.startsWith(
                          "the model of step 0 is not saved: it would leave too little"
                              + " space for")
                      && each.endsWith("the model at the end of the run; free space in " + output));
      assertThat(output).isEmptyDirectory();
      Saver enough = saver(tiny, 2 * model, warnings);
      enough.modelOnTheWay();
      assertThat(enough.bestModel()).isTrue();
      assertThat(warnings).hasSize(2);
      assertThat(output.resolve("model-0/model_index.json")).exists();
    }
  }

  private static Saver saver(TinyTrainer tiny, long room, List<String> warnings) {
    FailingFiles files = new FailingFiles(FailingFiles.How.ERROR, 0).withRoom(room);
    Config seen = TinyRun.through(files, tiny.config, null);
    return new Saver(tiny.session(seen, warnings::add), new Checkpoints(seen.output()));
  }

  /** Each takes the place of the one before, which is there until the new one is complete. */
  @Test
  void shouldCountTheBestModelOnce() throws IOException {
    TinyRun run = tiny().with("checkpointing_steps", 0).with("save_model_every", 3);
    run.with("validation_share", 0.4).with("save_best", true);
    try (TinyTrainer tiny = new TinyTrainer(run)) {
      Session session = tiny.session(tiny.config);
      Path best = tiny.config.output().outputDir().resolve(OutputFolder.BEST);
      long model = sum(tiny.model.files(tiny.run, best));
      assertThat(DiskSpace.notes(session, List.of(), 5 * model)).isEmpty();
      assertThat(note(session, List.of(), 5 * model - 1))
          .contains("the 4 of save_model_every and save_best take");
      assertThat(DiskSpace.leavesRoomForTheLast(session, best, 2 * model - 1)).isFalse();
      tiny.model.save(tiny.run, Map.of(), best);
      assertThat(DiskSpace.notes(session, List.of(), 4 * model)).isEmpty();
      assertThat(DiskSpace.leavesRoomForTheLast(session, best, model + 100_000)).isTrue();
      assertThat(DiskSpace.leavesRoomForTheLast(session, best, model - 100_000)).isFalse();
    }
  }

  @Test
  void shouldNotCountCheckpointsBeyondTheLimitThatAreThere() throws IOException {
    List<Path> there = List.of(folder.resolve("checkpoint-4"), folder.resolve("checkpoint-6"));
    TinyRun limited = tiny().with("checkpoints_total_limit", 2);
    try (TinyTrainer tiny = new TinyTrainer(limited)) {
      Session session = tiny.session(tiny.config);
      long model = sum(tiny.model.files(tiny.run, folder));
      assertThat(note(session, List.of(), model + 1)).contains(" 0 of the 3 checkpoints");
      assertThat(note(session, there, model + 1)).contains(" 0 of the 1 check");
    }
  }
}
