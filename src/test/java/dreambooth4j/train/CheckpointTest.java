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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointTest {
  @TempDir Path folder;

  /** A disk that loses bits says nothing. */
  @Test
  void shouldNotKeepWhatIsNotReadBackAsItWasWritten() throws IOException {
    try (TinyTrainer tiny = new TinyTrainer(new TinyRun(folder).withoutClass())) {
      Path good = folder.resolve("checkpoint-1");
      FailingFiles counting = new FailingFiles(FailingFiles.How.FLIPPED, 0);
      tiny.trainer.save(counting.path(good));
      assertThat(CheckpointFolder.isComplete(good)).isTrue();
      int flipped = 0;
      for (int call = 1; call <= counting.calls(); call++) {
        FailingFiles failing = new FailingFiles(FailingFiles.How.FLIPPED, call);
        Path bad = folder.resolve("checkpoint-2");
        Path seen = failing.path(bad);
        if (counting.names().get(call - 1).startsWith("write ")) {
          assertThatExceptionOfType(Problem.class)
              .isThrownBy(() -> tiny.trainer.save(seen))
              .withMessageContaining("what was written is not what is read back");
          assertThat(bad).doesNotExist();
          flipped++;
        }
      }
      assertThat(flipped).isGreaterThan(3);
    }
  }

  /** The run goes on, and its user is told of a file that looks like a checkpoint. */
  @Test
  void shouldSayThatADamagedOneThatCannotBeDeletedIsThere() throws IOException {
    TinyRun run = new TinyRun(folder).withoutClass();
    try (TinyTrainer tiny = new TinyTrainer(run)) {
      FailingFiles failing =
          FailingFiles.at(FailingFiles.How.FLIPPED, "write .*training_state.*")
              .andFailsAt("delete training_state.*");
      Path output = Files.createDirectories(tiny.config.output().outputDir());
      Config seen = TinyRun.through(failing, tiny.config, null);
      List<String> warnings = new ArrayList<>();
      Saver saver = new Saver(tiny.session(seen, warnings::add), new Checkpoints(seen.output()));
      saver.duringRun();
      Path bad = output.resolve("checkpoint-0");
      assertThat(warnings.get(0))
          .contains("no checkpoint after step 0: ", "what was written is not what is read back")
          .contains("must be deleted by you, for " + bad + " cannot be removed: Input/output error")
          .contains("The run goes on");
      assertThat(CheckpointFolder.isComplete(bad)).isTrue();
    }
  }
}
