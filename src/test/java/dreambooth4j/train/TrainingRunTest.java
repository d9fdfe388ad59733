package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainingRunTest {
  @TempDir Path folder;

  /** Takes a run's memory away after its second step, as an arena that is full does. */
  private static RunListener leavingNothing() {
    return (RunListener)
        Proxy.newProxyInstance(
            RunListener.class.getClassLoader(),
            new Class<?>[] {RunListener.class},
            (proxy, method, arguments) -> {
              if (arguments[0] instanceof Trainer.StepReport report && report.step() == 2) {
                try (Arena full = Arena.open("run")) {
                  full.meter().limit(0);
                  full.zeros("latents", DType.F32, 1);
                }
              }
              return null;
            });
  }

  @Test
  void shouldSaveItsStepsWhereMemoryRunsOut() throws IOException {
    TinyRun tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0);
    TrainingRun run =
        new TrainingRun(tiny.with("max_train_steps", 4).config(), leavingNothing(), () -> false);
    Problem problem = catchThrowableOfType(Problem.class, () -> run.run(false));
    assertThat(problem.kind()).isEqualTo(Problem.Kind.MEMORY);
    assertThat(problem).hasMessageContaining("out of memory (");
    assertThat(CheckpointFolder.isComplete(tiny.output().resolve("checkpoint-2"))).isTrue();
  }

  /** A file that cannot be deleted costs space, not the run. */
  @Test
  void shouldGoOnWhereClassImagesOfEarlierEpochsCannotBeDeleted() throws IOException {
    TinyRun tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("class_images_refresh_epochs", 1)
            .with("max_train_steps", 11)
            .with("n_save_sample", 0);
    FailingFiles failing =
        FailingFiles.at(FailingFiles.How.ERROR, "delete [0-9a-f]{40}\\.(png|txt|json)");
    assertThat(TinyRun.run(TinyRun.through(failing, tiny.config(), null))).isTrue();
    assertThat(failing.failed()).isNotNull();
    assertThat(tiny.output().resolve("class_images-1")).exists();
    assertThat(tiny.output().resolve("model_index.json")).exists();
  }

  /** While a run looks through its pictures another one, that was asked to stop, saves and ends. */
  @Test
  void shouldGoOnFromWhatLiesThereWhenItHasTheFolder() throws IOException {
    TinyRun tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0);
    tiny.with("checkpointing_steps", 1).with("max_train_steps", 4);
    int[] steps = {0};
    int[] begun = {-1};
    assertThat(new TrainingRun(tiny.config(), on(() -> steps[0]++), () -> steps[0] == 1).run())
        .isFalse();
    tiny.with("resume_from_checkpoint", "latest");
    RunListener meanwhile =
        (RunListener)
            Proxy.newProxyInstance(
                RunListener.class.getClassLoader(),
                new Class<?>[] {RunListener.class},
                (proxy, method, arguments) -> {
                  if (method.getName().equals("forecast")) {
                    new TrainingRun(tiny.config(), on(() -> steps[0]++), () -> steps[0] == 3).run();
                  } else if (arguments[0] instanceof RunListener.Beginning begins) {
                    begun[0] = begins.done();
                  }
                  return null;
                });
    assertThat(new TrainingRun(tiny.config(), meanwhile, () -> begun[0] >= 0).run()).isFalse();
    assertThat(begun[0]).isEqualTo(3);
  }

  /** A listener that only counts steps. */
  private static RunListener on(Runnable step) {
    return (RunListener)
        Proxy.newProxyInstance(
            RunListener.class.getClassLoader(),
            new Class<?>[] {RunListener.class},
            (proxy, method, arguments) -> {
              if (arguments[0] instanceof Trainer.StepReport) {
                step.run();
              }
              return null;
            });
  }

  /** To set aside what an earlier run left would take the base away from under the new one. */
  @Test
  void shouldRefuseABaseModelThatItWouldSetAside() throws IOException {
    TinyRun tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0);
    assertThat(TinyRun.run(tiny.with("max_train_steps", 2).with("save_model_every", 1).config()))
        .isTrue();
    Path base = tiny.output().resolve("model-1");
    tiny.with("pretrained_model_name_or_path", base);
    Problem problem = catchThrowableOfType(Problem.class, () -> TinyRun.run(tiny.config()));
    assertThat(problem.kind()).isEqualTo(Problem.Kind.USAGE);
    assertThat(problem).hasMessageContaining("model-1").hasMessageContaining("another output_dir");
    assertThat(base.resolve("model_index.json")).exists();
  }

  /** A mask whose header is sound and whose pixels are not. */
  @Test
  void shouldRefuseADamagedMaskBeforeTheFirstStep() throws IOException {
    TinyRun tiny = new TinyRun(folder).withoutClass().with("masked_loss", true);
    Path mask = tiny.pictures().resolve("p0.mask.png");
    Files.copy(tiny.pictures().resolve("p0.png"), mask);
    byte[] all = Files.readAllBytes(mask);
    Files.write(mask, Arrays.copyOf(all, all.length / 2));
    Problem problem =
        catchThrowableOfType(
            Problem.class, () -> TinyRun.run(tiny.with("max_train_steps", 20).config()));
    assertThat(problem).hasMessageContaining("p0.mask.png");
    assertThat(tiny.output().resolve("metrics.jsonl")).doesNotExist();
  }
}
