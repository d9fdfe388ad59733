package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.engine.OptimizerState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

  /** Of a step that updated the first group and failed at the second, gathered or as it arrives. */
  @ParameterizedTest
  @CsvSource({"false, true", "true, true", "false, false"})
  void shouldWriteNoneOfAStepThatUpdatedSomeWeights(boolean fused, boolean saved)
      throws IOException {
    TinyRun run =
        new TinyRun(folder)
            .withoutClass()
            .with("train_text_encoder", true)
            .with("max_grad_norm", 0)
            .with("fused_backward_pass", fused);
    try (TinyTrainer tiny = new TinyTrainer(run)) {
      Checkpoints checkpoints = new Checkpoints(tiny.config.output());
      tiny.train(1);
      if (saved) {
        checkpoints.save(tiny.trainer);
      }
      tiny.train(2);
      List<OptimizerState> states = tiny.trainer.training().optimizer().states();
      states.get(states.size() - 1).moments().get(0).release();
      assertThatThrownBy(() -> tiny.train(3)).isInstanceOf(RuntimeException.class);
      assertThat(tiny.trainer.done()).isEqualTo(2);
      List<String> warnings = new ArrayList<>();
      new Saver(tiny.session(tiny.config, warnings::add), checkpoints).keepSteps();
      assertThat(checkpoints.all())
          .isEqualTo(saved ? List.of(run.output().resolve("checkpoint-1")) : List.of());
      assertThat(warnings.get(0))
          .startsWith("step 3 had updated some of the weights and not all")
          .contains(saved ? "The newest checkpoint is " + checkpoints.newest() : "no checkpoint");
      assertThat(Files.exists(run.output().resolve("model_index.json"))).isNotEqualTo(saved);
      assertThat(warnings).hasSize(saved ? 1 : 2);
    }
  }

  /** An error between two steps, as of samples, costs none of them. */
  @Test
  void shouldKeepTheStepsBeforeAnErrorThatIsOfNone() throws IOException {
    TinyRun run = new TinyRun(folder).withoutClass();
    try (TinyTrainer tiny = new TinyTrainer(run).train(2)) {
      Checkpoints checkpoints = new Checkpoints(tiny.config.output());
      new Saver(tiny.session(tiny.config), checkpoints).keepSteps();
      assertThat(checkpoints.all()).containsExactly(run.output().resolve("checkpoint-2"));
    }
  }
}
