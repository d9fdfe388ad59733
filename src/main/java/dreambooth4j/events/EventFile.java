package dreambooth4j.events;

import com.google.protobuf.ByteString;
import com.google.protobuf.DynamicMessage;
import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.weights.StagedFiles;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.Map;

/**
 * A run's scalars, pictures and configuration for TensorBoard, in one file that a resumed run goes
 * on with. Each event is given to the system at once, so that a run that is killed loses none.
 */
public final class EventFile implements AutoCloseable {
  /** TensorBoard looks for files that have this in their names. */
  private static final String PREFIX = "events.out.tfevents.";

  private static final String SUFFIX = ".dreambooth4j";
  private static final String VERSION = "brain.Event:2";

  /** TensorFlow's number of the type of texts. */
  private static final int STRING = 7;

  /** Red, green, blue. */
  private static final int CHANNELS = 3;

  /** Where a PNG file says its size. */
  private static final int PNG_WIDTH_AT = 16;

  private static final int PNG_HEIGHT_AT = 20;

  private final Path file;
  private final FileChannel out;

  /**
   * Opens the file of a run.
   *
   * @param folder made if need be
   * @param done steps that a resumed run has done: what an earlier one wrote beyond is dropped; 0
   *     starts anew
   * @throws Problem when it cannot be written
   */
  public EventFile(Path folder, int done) {
    Path place = folder.resolve(PREFIX + Instant.now().getEpochSecond() + SUFFIX);
    try {
      Files.createDirectories(folder);
      for (Path each : FolderEntries.of(folder)) {
        String name = String.valueOf(each.getFileName());
        if (name.startsWith(PREFIX) && name.endsWith(SUFFIX)) {
          place = each;
        }
      }
      Path kept = place;
      file = place;
      StagedFiles.write(file, channel -> begin(kept, done, channel));
      out = FileChannel.open(file, StandardOpenOption.WRITE);
      out.position(out.size());
    } catch (IOException e) {
      throw unwritable(place, e);
    }
  }

  /** A file's version, and of an earlier run's events those of the steps that count. */
  private static void begin(Path file, int done, FileChannel out) throws IOException {
    Message version = Message.event().with("wall_time", now()).with("file_version", VERSION);
    write(out, version.built().toByteArray());
    if (done == 0 || !Files.exists(file)) {
      return;
    }
    try (InputStream in = new BufferedInputStream(RegularFile.stream(file))) {
      for (byte[] each = Records.next(in); each != null; each = Records.next(in)) {
        DynamicMessage event = DynamicMessage.parseFrom(Message.type(), each);
        boolean first = !String.valueOf(Message.get(event, "file_version")).isEmpty();
        if (!first && (long) Message.get(event, "step") <= done) {
          write(out, each);
        }
      }
    }
  }

  /**
   * Adds numbers of a step; those that are not finite are shown as such.
   *
   * @throws Problem when they cannot be written; nothing of them stays in the file
   */
  public void scalars(int step, Map<String, Double> values) {
    Message event = event(step);
    Message summary = event.inside("summary");
    values.forEach(
        (tag, value) ->
            summary.with(
                "value",
                summary.inside("value").with("tag", tag).with("simple_value", value.floatValue())));
    append(event.with("summary", summary));
  }

  /**
   * Adds a picture of a step.
   *
   * @param png its file
   * @throws Problem when it cannot be written; nothing of it stays in the file
   */
  public void picture(int step, String tag, byte[] png) {
    ByteBuffer header = ByteBuffer.wrap(png);
    Message event = event(step);
    Message image =
        event
            .inside("summary", "value", "image")
            .with("height", header.getInt(PNG_HEIGHT_AT))
            .with("width", header.getInt(PNG_WIDTH_AT))
            .with("colorspace", CHANNELS)
            .with("encoded_image_string", ByteString.copyFrom(png));
    append(with(event, tag, "image", image));
  }

  /**
   * Adds a text, which TensorBoard shows as Markdown.
   *
   * @throws Problem when it cannot be written; nothing of it stays in the file
   */
  public void text(int step, String tag, String text) {
    Message event = event(step);
    Message value = event.inside("summary", "value");
    Message plugin = value.inside("metadata", "plugin_data").with("plugin_name", "text");
    Message tensor =
        value
            .inside("tensor")
            .with("dtype", STRING)
            .with("tensor_shape", value.inside("tensor", "tensor_shape"))
            .with("string_val", ByteString.copyFromUtf8(text));
    value
        .with("tag", tag)
        .with("metadata", value.inside("metadata").with("plugin_data", plugin))
        .with("tensor", tensor);
    append(event.with("summary", event.inside("summary").with("value", value)));
  }

  private static Message with(Message event, String tag, String kind, Message content) {
    Message summary = event.inside("summary");
    Message value = summary.inside("value").with("tag", tag).with(kind, content);
    return event.with("summary", summary.with("value", value));
  }

  private static Message event(int step) {
    return Message.event().with("wall_time", now()).with("step", (long) step);
  }

  private static double now() {
    return System.currentTimeMillis() / 1e3;
  }

  private void append(Message event) {
    try {
      long before = out.position();
      try {
        write(out, event.built().toByteArray());
      } catch (IOException e) {
        out.position(before);
        out.truncate(before);
        throw e;
      }
    } catch (IOException e) {
      throw unwritable(file, e);
    }
  }

  private static void write(FileChannel out, byte[] message) throws IOException {
    ByteBuffer record = Records.framed(message);
    while (record.hasRemaining()) {
      out.write(record);
    }
  }

  private static Problem unwritable(Path file, IOException e) {
    return new Problem(
        Problem.Kind.FAILED, "%s cannot be written: %s".formatted(file, Problem.why(e)), e);
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw unwritable(file, e);
    }
  }
}
