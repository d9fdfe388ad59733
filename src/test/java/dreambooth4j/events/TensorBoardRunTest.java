package dreambooth4j.events;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.DynamicMessage;
import dreambooth4j.FolderEntries;
import dreambooth4j.config.Config;
import dreambooth4j.report.RunReport;
import dreambooth4j.train.TinyRun;
import dreambooth4j.train.TrainingRun;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run's events, from its first step to those after it was resumed. */
class TensorBoardRunTest {
  @TempDir Path folder;

  private static void run(Config config) {
    PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream());
    Path output = config.output().outputDir();
    try (RunReport report = new RunReport(nowhere, output, List.of(), null, false)) {
      assertThat(new TrainingRun(config, report, () -> false).run()).isTrue();
    }
  }

  private static List<String> shown(Path logs) throws IOException {
    List<Path> files = FolderEntries.of(logs);
    assertThat(files).hasSize(1);
    List<String> shown = new ArrayList<>();
    try (InputStream in = new ByteArrayInputStream(Files.readAllBytes(files.get(0)))) {
      for (byte[] each = Records.next(in); each != null; each = Records.next(in)) {
        DynamicMessage event = DynamicMessage.parseFrom(Message.type(), each);
        DynamicMessage summary = (DynamicMessage) Message.get(event, "summary");
        for (Object value : (List<?>) Message.get(summary, "value")) {
          Object tag = Message.get((DynamicMessage) value, "tag");
          shown.add(Message.get(event, "step") + " " + tag);
        }
      }
    }
    return shown;
  }

  @Test
  void shouldHaveEachStepOnce() throws IOException {
    TinyRun tiny =
        new TinyRun(folder)
            .withoutClass()
            .withOptions("report_to=tensorboard save_state_after=true max_train_steps=2")
            .withOptions("validation_share=0.5 validate_every_n_steps=1");
    run(tiny.config());
    assertThat(shown(tiny.output().resolve("logs")))
        .contains("0 config", "0 samples/sks", "1 instance_loss", "2 learning_rate")
        .contains("2 samples/sks", "1 validation_loss", "2 validation_loss");
    run(tiny.withOptions("max_train_steps=3 resume_from_checkpoint=latest").config());
    List<String> resumed = shown(tiny.output().resolve("logs"));
    assertThat(resumed).contains("1 loss", "2 loss", "3 loss", "2 config").doesNotHaveDuplicates();
    run(tiny.withOptions("max_train_steps=1").without("resume_from_checkpoint").config());
    assertThat(shown(tiny.output().resolve("logs"))).doesNotContain("2 loss");
    assertThat(shown(tiny.output().resolve("logs-1"))).isEqualTo(resumed);
  }
}
