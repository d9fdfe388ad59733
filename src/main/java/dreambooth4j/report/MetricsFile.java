package dreambooth4j.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.train.RunListener;
import dreambooth4j.train.Trainer;
import dreambooth4j.weights.StagedFiles;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** {@code metrics.jsonl}: one JSON object a step, written at once, so that a crash loses none. */
public final class MetricsFile implements AutoCloseable {
  /**
   * Memory, in bytes.
   *
   * @param held by the process, or of the GPU
   * @param tensors the most that they have held at once so far; 0 if it is not known
   */
  public record Memory(OptionalLong held, long tensors) {
    /** Nothing is known. */
    public static final Memory UNKNOWN = new Memory(OptionalLong.empty(), 0);
  }

  private static final ObjectMapper JSON = new ObjectMapper();

  /** A longer line is none of ours. */
  private static final int LONGEST_LINE_BYTES = 1 << 16;

  private final Path file;
  private final FileChannel out;

  /**
   * Opens the file of a run.
   *
   * @param done steps that a resumed run has done: what an earlier run wrote beyond is dropped; 0
   *     starts anew
   * @throws Problem when it cannot be written
   */
  public MetricsFile(Path file, int done) {
    this.file = file;
    try {
      StagedFiles.write(file, channel -> copyKept(file, done, channel));
      out = FileChannel.open(file, StandardOpenOption.WRITE);
      out.position(out.size());
    } catch (IOException e) {
      throw unwritable(e);
    }
  }

  /** The lines of the steps that count; a line that a crash cut short is of none of them. */
  private static void copyKept(Path file, int done, FileChannel out) throws IOException {
    if (done == 0 || !Files.exists(file)) {
      return;
    }
    try (InputStream in = new BufferedInputStream(RegularFile.stream(file))) {
      for (byte[] line = line(in); line != null; line = line(in)) {
        if (step(line) <= done) {
          write(out, line);
        }
      }
    }
  }

  /** The next line, its end included; null at the end of the file or of what can be ours. */
  private static byte @Nullable [] line(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    int next = in.read();
    while (next >= 0 && next != '\n') {
      if (line.size() == LONGEST_LINE_BYTES) {
        return null;
      }
      line.write(next);
      next = in.read();
    }
    if (next < 0 && line.size() == 0) {
      return null;
    }
    line.write('\n');
    return line.toByteArray();
  }

  /** The step of a line; a number beyond all steps if it is damaged: that step is done again. */
  private static int step(byte[] line) throws IOException {
    try {
      return JSON.readTree(line).path("step").asInt(Integer.MAX_VALUE);
    } catch (JsonProcessingException e) {
      return Integer.MAX_VALUE;
    }
  }

  /**
   * Appends a step.
   *
   * @param memory what is held after it
   * @return its numbers by name, that of the step left out
   * @throws Problem when it cannot be written; nothing of it stays in the file
   */
  public Map<String, Double> add(Trainer.StepReport report, Memory memory) {
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
    memory.held().ifPresent(bytes -> line.put("memory_bytes", bytes));
    if (memory.tensors() > 0) {
      line.put("tensor_bytes", memory.tensors());
    }
    line.put("time", Instant.now().truncatedTo(ChronoUnit.MILLIS).toString());
    return append(line);
  }

  /**
   * Appends the losses on held-out pictures, a line of their own of the step after which they were
   * measured.
   *
   * @return as the other
   * @throws Problem as the other
   */
  public Map<String, Double> add(int step, RunListener.Validated losses) {
    Map<String, @Nullable Object> line = new LinkedHashMap<>();
    line.put("step", step);
    line.put("validation_loss", losses.instance());
    if (losses.prior() != null) {
      line.put("validation_prior_loss", losses.prior());
    }
    return append(line);
  }

  private Map<String, Double> append(Map<String, @Nullable Object> line) {
    try {
      append(JSON.writeValueAsString(line) + "\n");
    } catch (IOException e) {
      throw unwritable(e);
    }
    Map<String, Double> numbers = new LinkedHashMap<>();
    line.forEach(
        (name, value) -> {
          if (value instanceof Number number && !name.equals("step")) {
            numbers.put(name, number.doubleValue());
          }
        });
    return numbers;
  }

  private void append(String line) throws IOException {
    long before = out.position();
    try {
      write(out, line.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      out.position(before);
      out.truncate(before);
      throw e;
    }
  }

  private static void write(FileChannel out, byte[] content) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(content);
    while (bytes.hasRemaining()) {
      out.write(bytes);
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
