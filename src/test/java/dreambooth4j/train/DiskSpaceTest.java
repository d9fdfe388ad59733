package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiskSpaceTest {
  @TempDir Path folder;

  private static Session session(TinyTrainer tiny) {
    RunListener nobody =
        (RunListener)
            Proxy.newProxyInstance(
                DiskSpaceTest.class.getClassLoader(),
                new Class<?>[] {RunListener.class},
                (proxy, method, arguments) -> null);
    return new Session(tiny.config, nobody, () -> false, tiny.run, tiny.model, tiny.trainer);
  }

  @Test
  void shouldKnowBeforehandWhatWillNotFit() throws IOException {
    TinyRun run = new TinyRun(folder).withoutClass().with("use_ema", true);
    run.with("max_train_steps", 10).with("checkpointing_steps", 2);
    try (TinyTrainer tiny = new TinyTrainer(run)) {
      Session session = session(tiny);
      long weights = 4 * tiny.model.trained().get(0).parameters().count();
      long flat = tiny.model.trained().get(0).parameters().flatCount();
      long checkpoint = 4 * 4 * flat + 4; // weights, two moments, average; the count of steps
      assertThat(DiskSpace.note(session, folder, weights + 4 * checkpoint)).isNull();
      assertThat(DiskSpace.note(session, folder, weights + 4 * checkpoint - 1))
          .contains("beside the model 3 of the 4 checkpoints", "checkpoints_total_limit");
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> DiskSpace.note(session, folder, weights - 1))
          .withMessageContaining("the trained weights take");
      Path saved = folder.resolve("checkpoint");
      tiny.trainer.save(saved);
      assertThat(Files.size(saved.resolve("training_state.safetensors")))
          .as("as much as was reckoned with, the header aside")
          .isBetween(checkpoint, checkpoint + 20_000);
    }
  }
}
