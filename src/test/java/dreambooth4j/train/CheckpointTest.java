package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.distributed.TestRanks;
import dreambooth4j.engine.OptimizerState;
import dreambooth4j.prior.FreshClassImages;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
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
          .contains(
              "no checkpoint was written after step 0: ",
              "what was written is not what is read back")
          .contains(
              "must be deleted by you, because " + bad + " cannot be removed: Input/output error")
          .contains("The run continues");
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
      List<String> warnings = new ArrayList<>();
      Session session = tiny.session(tiny.config, warnings::add);
      Saver saver = new Saver(session, checkpoints);
      assertThatThrownBy(() -> loop(tiny, failingAfter(2, session), saver).run())
          .isInstanceOf(IllegalStateException.class);
      assertThat(tiny.trainer.done()).isEqualTo(2);
      assertThat(checkpoints.all())
          .isEqualTo(saved ? List.of(run.output().resolve("checkpoint-1")) : List.of());
      assertThat(warnings.get(0))
          .startsWith("step 3 had updated some of the weights and not all")
          .contains(saved ? "The newest checkpoint is " + checkpoints.newest() : "no checkpoint");
      assertThat(Files.exists(run.output().resolve("model_index.json"))).isNotEqualTo(saved);
      assertThat(warnings).hasSize(saved ? 1 : 2);
      if (!saved) {
        assertThat(warnings.get(1)).isEqualTo("saved are the weights in the midst of step 3");
      }
    }
  }

  /** In the update of the step after so many its last moment is gone: libtorch's own error. */
  private static Session failingAfter(int steps, Session session) {
    Trainer trainer = session.trainer();
    BooleanSupplier stop =
        () -> {
          if (trainer.done() == steps) {
            List<OptimizerState> states = trainer.training().optimizer().states();
            states.get(states.size() - 1).moments().get(0).release();
          }
          return false;
        };
    return new Session(
        session.config(),
        session.listener(),
        stop,
        session.arena(),
        session.model(),
        trainer,
        session.ranks());
  }

  private static TrainingLoop loop(TinyTrainer tiny, Session session, Saver saver) {
    Config config = session.config();
    List<Concept> concepts = Concept.scanAll(config);
    return new TrainingLoop(
        session,
        new SamplePictures(config, tiny.model, concepts),
        saver,
        new Validation(config, tiny.model, tiny.caches, List.of(), Map.of(), session.ranks()),
        new FreshClassImages(config, concepts, ModelFolder.open(TinyRun.MODEL, null)),
        made -> tiny.pairs);
  }

  /** Whole weights are worth as much where no checkpoint fits: the model is saved, and again. */
  @Test
  void shouldSaveTheModelWhereNoCheckpointCanBe() throws IOException {
    try (TinyTrainer tiny = new TinyTrainer(new TinyRun(folder).withoutClass()).train(1)) {
      Path output = Files.createDirectories(tiny.config.output().outputDir());
      Path weights = output.resolve("unet/diffusion_pytorch_model.safetensors");
      List<String> warnings = new ArrayList<>();
      Saver saver = withoutRoomForCheckpoints(tiny, warnings);
      saver.keepSteps();
      assertThat(warnings.get(0))
          .startsWith("no checkpoint can be saved: ")
          .contains("Input/output error")
          .doesNotContain("begins again");
      assertThat(warnings.get(1)).isEqualTo("saved are the weights before step 2");
      assertThat(warnings).hasSize(2);
      byte[] first = Files.readAllBytes(weights);
      tiny.train(2);
      saver.keepSteps();
      assertThat(Files.readAllBytes(weights)).as("the newer weights").isNotEqualTo(first);
      assertThat(warnings.get(3)).isEqualTo("saved are the weights before step 3");
    }
  }

  /** Its own of fewer steps, which took a checkpoint's place, is not called an earlier run's. */
  @Test
  void shouldSayWhoseModelStaysWhereTheRunDiverged() throws IOException {
    try (TinyTrainer tiny = new TinyTrainer(new TinyRun(folder).withoutClass()).train(1)) {
      Path output = Files.createDirectories(tiny.config.output().outputDir());
      List<String> warnings = new ArrayList<>();
      Saver saver = withoutRoomForCheckpoints(tiny, warnings);
      saver.duringRun();
      assertThat(warnings).hasSize(1);
      saver.keepLastGood();
      assertThat(warnings.get(1))
          .isEqualTo(
              "nothing is written: the model in %s, of fewer steps of this run, stays as it was"
                  .formatted(output));
      withoutRoomForCheckpoints(tiny, warnings).keepLastGood();
      assertThat(warnings.get(2))
          .isEqualTo(
              "nothing is written: the model in %s, of an earlier run, stays as it was"
                  .formatted(output));
    }
  }

  /** It is the machine's memory that is short, not the disk. */
  @Test
  void shouldNotAskForRoomOnDiskWhereMemoryIsShort() throws Exception {
    TinyRun run = new TinyRun(folder).withoutClass().with("shard_optimizer", true);
    List<String> warnings = new CopyOnWriteArrayList<>();
    TestRanks.each(
        2,
        ranks -> {
          try (TinyTrainer tiny = new TinyTrainer(run);
              Trainer trainer =
                  new Trainer(tiny.run, tiny.config, tiny.model, tiny.pairs, tiny.caches, ranks)) {
            Session alone = tiny.session(tiny.config, warnings::add);
            Session session =
                new Session(
                    tiny.config,
                    alone.listener(),
                    alone.stop(),
                    tiny.run,
                    tiny.model,
                    trainer,
                    ranks);
            trainer.training();
            if (ranks.isFirst()) {
              tiny.run.meter().limit(tiny.run.meter().liveBytes() + 1000);
            }
            trainer.withWholeStates(
                () -> {
                  tiny.run.meter().limit(Long.MAX_VALUE);
                  if (ranks.isFirst()) {
                    new Saver(session, new Checkpoints(tiny.config.output())).duringRun();
                  }
                });
          }
          return true;
        });
    assertThat(warnings.get(0))
        .startsWith("no checkpoint was written after step 0: rank 0 has no memory for the")
        .endsWith(
            " The run continues; for one that can save checkpoints set use_8bit_adam or leave"
                + " shard_optimizer out.")
        .doesNotContain("free space", "pictures");
  }

  private static Saver withoutRoomForCheckpoints(TinyTrainer tiny, List<String> warnings) {
    FailingFiles full =
        new FailingFiles(FailingFiles.How.ERROR, 0).andFailsAt("write .*training_state.*");
    Config seen = TinyRun.through(full, tiny.config, null);
    return new Saver(tiny.session(seen, warnings::add), new Checkpoints(seen.output()));
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
