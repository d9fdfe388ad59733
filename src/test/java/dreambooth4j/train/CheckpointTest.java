package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Path;
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
}
