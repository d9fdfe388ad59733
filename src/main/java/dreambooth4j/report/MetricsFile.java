package dreambooth4j.report;

import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.train.Trainer;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * {@code metrics.jsonl}: one JSON object a step, appended and flushed at once, so that a crash
 * loses none.
 */
public final class MetricsFile implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final BufferedWriter out;

  /**
   * Opens the file of a run.
   *
   * @param done steps that a resumed run has done: what an earlier run wrote beyond is dropped; 0
   *     starts anew
   */
  public MetricsFile(Path file, int done) {
    try {
      List<String> kept = new ArrayList<>();
      if (done > 0 && Files.exists(file)) {
        for (String line : Files.readAllLines(file)) {
          if (JSON.readTree(line).path("step").asInt() <= done) {
            kept.add(line);
          }
        }
      }
      Files.write(file, kept);
      out = Files.newBufferedWriter(file, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new UncheckedIOException(file + " cannot be written: " + e.getMessage(), e);
    }
  }

  /** Appends a step. */
  public void add(Trainer.StepReport report) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("step", report.step());
    line.put("epoch", report.epoch());
    line.put("loss", report.losses().total());
    line.put("instance_loss", report.losses().instance());
    line.put("prior_loss", report.losses().prior());
    line.put("prior_loss_weight", report.priorLossWeight());
    line.put("grad_norm", report.gradientNorm());
    line.put("learning_rate", report.learningRate());
    line.put("pictures", report.pictures());
    line.put("seconds", report.seconds());
    try {
      out.write(JSON.writeValueAsString(line));
      out.write('\n');
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("metrics.jsonl cannot be written: " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
