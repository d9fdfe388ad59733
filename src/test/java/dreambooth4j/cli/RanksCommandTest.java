package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.Apart;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Ranks as processes, which {@code --nproc} starts. */
class RanksCommandTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void longRun() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("n_save_sample", 0)
            .with("train_batch_size", 2)
            .with("max_train_steps", 5000);
  }

  /** They are started in their order. */
  private static ProcessHandle rank(Child child, int rank) {
    return child.children().sorted(Comparator.comparing(ProcessHandle::pid)).toList().get(rank);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void shouldNameARankThatIsKilledAndSaveOnTheOther(int rank) throws Exception {
    tiny.with("set_grads_to_none", true);
    try (Child child = Child.of(tiny.arguments("train", "--nproc", "2"))) {
      child.waitFor("step 1/");
      ProcessHandle killed = rank(child, rank);
      killed.destroyForcibly();
      assertThat(child.exitCode()).isEqualTo(rank == 0 ? 128 + 9 : 1);
      assertThat(child.said())
          .containsPattern(
              "error: rank %d \\(.*, process %d\\) does not answer".formatted(rank, killed.pid()));
      Matcher saved =
          Pattern.compile("after step \\d+: (\\S+checkpoint-\\d+)").matcher(child.said());
      assertThat(saved.find()).as(child.said()).isTrue();
      assertThat(Path.of(saved.group(1))).isDirectory();
      assertThat(child.said())
          .containsPattern(
              "Go on with the run:\\n(\\[rank 1\\] )?  dreambooth train .*"
                  + "--resume_from_checkpoint latest --nproc 2\\n")
          .doesNotContain("[Gloo]", "[c10d]")
          .containsOnlyOnce("no effect here");
    }
  }

  /** What rank 1 has of the optimizer's states is gone with it. */
  @Test
  void shouldSayWhichCheckpointARunGoesOnFromWhereAShardIsLost() throws Exception {
    tiny.with("shard_optimizer", true).with("checkpointing_steps", 3);
    try (Child child = Child.of(tiny.arguments("train", "--nproc", "2"))) {
      child.waitFor("checkpoint-3");
      rank(child, 1).destroyForcibly();
      assertThat(child.exitCode()).isEqualTo(1);
      assertThat(child.said())
          .containsPattern("error: rank 1 \\(.*\\) does not answer")
          .containsPattern(
              "not all ranks are there to save it. The newest checkpoint is "
                  + "\\S+checkpoint-\\d*[0369], and the steps after it are lost")
          .contains("--resume_from_checkpoint latest --nproc 2");
    }
  }

  /** The weights are whole on each rank that is left, whatever became of the optimizer's states. */
  @Test
  void shouldSaveTheModelWhereAShardIsLostBeforeTheFirstCheckpoint() throws Exception {
    tiny.with("shard_optimizer", true).with("checkpointing_steps", 0);
    try (Child child = Child.of(tiny.arguments("train", "--nproc", "2"))) {
      child.waitFor("step 1/");
      rank(child, 1).destroyForcibly();
      assertThat(child.exitCode()).isEqualTo(1);
      assertThat(child.said())
          .containsPattern("error: rank 1 \\(.*\\) does not answer")
          .containsPattern("saved are the weights (before|in the midst of) step \\d+\n")
          .doesNotContain("the run begins again");
      assertThat(tiny.output().resolve("model_index.json")).exists();
    }
  }

  /** Four pairs a step: of three processes one has two. */
  @ParameterizedTest
  @CsvSource({"2, false", "3, true", "4, true"})
  void shouldGiveTheWeightsOfOneProcess(int processes, boolean sharded) throws Exception {
    tiny.with("train_batch_size", 4).with("max_train_steps", 3);
    Path one = folder.resolve("one");
    Ran alone = Ran.of(tiny.with("output_dir", one).arguments("train"));
    assertThat(alone.exitCode()).as(alone.err()).isZero();
    Path several = folder.resolve("several");
    tiny.with("output_dir", several).with("shard_optimizer", sharded);
    try (Child child = Child.of(tiny.arguments("train", "--nproc", "" + processes))) {
      assertThat(child.exitCode()).as(child.said()).isZero();
    }
    String unet = "unet/diffusion_pytorch_model.safetensors";
    assertThat(
            Apart.ofUpdate(TinyRun.MODEL.resolve(unet), one.resolve(unet), several.resolve(unet)))
        .isLessThan(2e-3);
  }

  @Test
  void shouldSaveWhenItIsTerminated() throws Exception {
    try (Child child = Child.of(tiny.arguments("train", "--nproc=2"))) {
      child.waitFor("step 1/").signal("TERM");
      assertThat(child.exitCode()).as(child.said()).isEqualTo(Interrupt.EXIT_CODE);
      assertThat(child.said())
          .containsPattern("Saved after step \\d+: \\S+checkpoint-")
          .contains("[rank 1] Stopping: the current step is finished, and rank 0 saves it");
    }
  }

  /** And leaves out what several ranks cannot do. */
  @Test
  void shouldPlanTheMemoryOfARank() {
    tiny.with("shard_optimizer", true);
    Ran alone = Ran.of(tiny.arguments("train", "--dry-run"));
    Ran ofTwo = Ran.of(tiny.arguments("train", "--dry-run", "--nproc", "2"));
    assertThat(alone.out()).contains("fused_backward_pass with");
    assertThat(ofTwo.out())
        .contains("gradient_checkpointing + use_8bit_adam + shard_optimizer")
        .doesNotContain("fused_backward_pass with");
  }

  @Test
  void shouldSayWhatIsWrongWithTheNumber() {
    assertThat(Ran.of(tiny.arguments("train", "--nproc", "0")).err())
        .contains("--nproc is 0: give the number of processes, from 1");
  }

  @Test
  void shouldStartARankWithTheSameArguments() {
    assertThat(TrainCommand.withoutProcesses(List.of("train", "--nproc", "2", "a", "--seed", "7")))
        .containsExactly("train", "a", "--seed", "7");
    assertThat(TrainCommand.withoutProcesses(List.of("train", "a", "--nproc=4")))
        .containsExactly("train", "a");
  }
}
