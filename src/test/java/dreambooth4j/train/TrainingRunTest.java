package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
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
}
