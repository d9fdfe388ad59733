package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainingRunTest {
  @TempDir Path folder;

  /** Leaves a run no memory beyond what it holds after its second step. */
  private static TrainingRun.Listener leavingNothing() {
    List<Arena> run = new ArrayList<>();
    return (TrainingRun.Listener)
        Proxy.newProxyInstance(
            TrainingRun.Listener.class.getClassLoader(),
            new Class<?>[] {TrainingRun.Listener.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("ready")) {
                run.add((Arena) arguments[1]);
              } else if (arguments[0] instanceof Trainer.StepReport report && report.step() == 2) {
                run.get(0).limit(run.get(0).liveBytes());
              }
              return null;
            });
  }

  @Test
  void shouldSaveItsStepsAndSayWhatWouldFitWhereMemoryRunsOut() throws IOException {
    TinyRun tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0);
    TrainingRun run =
        new TrainingRun(tiny.with("max_train_steps", 4).config(), leavingNothing(), () -> false);
    Problem problem = catchThrowableOfType(Problem.class, run::run);
    assertThat(problem.kind()).isEqualTo(Problem.Kind.MEMORY);
    assertThat(problem)
        .hasMessageContaining("out of memory (")
        .hasMessageContaining("The run needs ");
    assertThat(Checkpoint.isComplete(tiny.output().resolve("checkpoint-2"))).isTrue();
  }
}
