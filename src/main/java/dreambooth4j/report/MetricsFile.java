package dreambooth4j.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import dreambooth4j.train.Trainer;
import dreambooth4j.weights.StagedFiles;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * {@code metrics.jsonl}: one JSON object a step, appended and flushed at once, so that a crash
 * loses none.
 */
public final class MetricsFile implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final BufferedWriter out;

  /**
   * Opens the file of a run.
   *
   * @param done steps that a resumed run has done: what an earlier run wrote beyond is dropped; 0
   *     starts anew
   */
  public MetricsFile(Path file, int done) {
    this.file = file;
    try {
      byte[] kept = done > 0 && Files.exists(file) ? kept(file, done) : new byte[0];
      try (StagedFiles files = new StagedFiles()) {
        files.add(file, kept);
        files.commit();
      }
      out = Files.newBufferedWriter(file, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  /** The lines of the steps that count; a line that a crash cut short is of none of them. */
  private static byte[] kept(Path file, int done) throws IOException {
    StringBuilder kept = new StringBuilder();
    String text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    for (String line : text.lines().toList()) {
      try {
        int step = JSON.readTree(line).path("step").asInt(Integer.MAX_VALUE);
        kept.append(step <= done ? line + "\n" : "");
      } catch (JsonProcessingException e) {
        // That is such a line: the step is done again.
      }
    }
    return kept.toString().getBytes(StandardCharsets.UTF_8);
  }

  /** Appends a step. */
  public void add(Trainer.StepReport report) {
    Map<String, @Nullable Object> line = new LinkedHashMap<>();
    line.put("step", report.step());
    line.put("epoch", report.epoch());
    line.put("loss", report.losses().total());
    line.put("instance_loss", report.losses().instance());
    Double prior = report.losses().prior();
    if (prior != null) {
      line.put("prior_loss", prior);
    }
    line.put("prior_loss_weight", report.priorLossWeight());
    line.put("grad_norm", report.skipped() ? null : report.gradientNorm());
    if (report.lossScale() != null) {
      line.put("loss_scale", report.lossScale());
      line.put("skipped", report.skipped());
    }
    line.put("learning_rate", report.learningRate());
    line.put("pictures", report.pictures());
    line.put("seconds", report.seconds());
    line.put("time", Instant.now().truncatedTo(ChronoUnit.MILLIS).toString());
    try {
      out.write(JSON.writeValueAsString(line));
      out.write('\n');
      out.flush();
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  private Problem unwritable(IOException e) {
    return new Problem(
        Problem.Kind.FAILED, "%s cannot be written: %s".formatted(file, Problem.why(e)), e);
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw unwritable(e);
    }
  }
}
