package dreambooth4j.events;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.protobuf.ByteString;
import com.google.protobuf.DynamicMessage;
import dreambooth4j.FolderEntries;
import dreambooth4j.data.TestPictures;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {
  @TempDir Path folder;

  private Path file() throws IOException {
    List<Path> files = FolderEntries.of(folder);
    assertThat(files).hasSize(1);
    assertThat(files.get(0).getFileName().toString()).contains("tfevents");
    return files.get(0);
  }

  private static List<DynamicMessage> events(Path file) throws IOException {
    List<DynamicMessage> events = new ArrayList<>();
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
      for (byte[] each = Records.next(in); each != null; each = Records.next(in)) {
        events.add(DynamicMessage.parseFrom(Message.type(), each));
      }
    }
    return events;
  }

  /** What it shows: {@code step tag} to the number, or to how many bytes. */
  private static Map<String, Object> shown(Path file) throws IOException {
    Map<String, Object> shown = new TreeMap<>();
    for (DynamicMessage event : events(file)) {
      DynamicMessage summary = (DynamicMessage) Message.get(event, "summary");
      for (Object each : (List<?>) Message.get(summary, "value")) {
        DynamicMessage value = (DynamicMessage) each;
        DynamicMessage image = (DynamicMessage) Message.get(value, "image");
        DynamicMessage tensor = (DynamicMessage) Message.get(value, "tensor");
        ByteString png = (ByteString) Message.get(image, "encoded_image_string");
        List<?> texts = (List<?>) Message.get(tensor, "string_val");
        Object content =
            !texts.isEmpty()
                ? ((ByteString) texts.get(0)).toStringUtf8()
                : png.isEmpty() ? Message.get(value, "simple_value") : png.size();
        Object before =
            shown.put(Message.get(event, "step") + " " + Message.get(value, "tag"), content);
        assertThat(before).isNull();
      }
    }
    return shown;
  }

  private byte[] write(int done, int... steps) throws IOException {
    byte[] png =
        Files.readAllBytes(TestPictures.paint(folder.resolve("../png"), "a", 6, 4, "man", 1));
    try (EventFile file = new EventFile(folder, done)) {
      file.text(done, "config", "    seed: 7\n");
      for (int step : steps) {
        file.scalars(step, Map.of("loss", 1.0 / step, "learning_rate", 1e-4));
        file.picture(step, "samples/sks", png);
      }
    }
    return png;
  }

  @Test
  void shouldHoldScalarsPicturesAndTexts() throws IOException {
    byte[] png = write(0, 1, 2);
    List<DynamicMessage> events = events(file());
    assertThat(Message.get(events.get(0), "file_version")).isEqualTo("brain.Event:2");
    assertThat(events).hasSize(6);
    assertThat(shown(file()))
        .containsEntry("1 loss", 1f)
        .containsEntry("2 loss", 0.5f)
        .containsEntry("2 learning_rate", 1e-4f)
        .containsEntry("1 samples/sks", png.length)
        .containsEntry("0 config", "    seed: 7\n")
        .hasSize(7);
  }

  @Test
  void shouldGoOnWithoutStepsThatAreDoneAgain() throws IOException {
    write(0, 1, 2, 3);
    write(2, 3, 4);
    assertThat(shown(file()).keySet().stream().filter(each -> each.endsWith("loss")))
        .containsExactly("1 loss", "2 loss", "3 loss", "4 loss");
  }

  /** A kill may leave half of an event. */
  @Test
  void shouldKeepWhatIsWholeOfADamagedFile() throws IOException {
    write(0, 1, 2);
    byte[] whole = Files.readAllBytes(file());
    for (int cut : new int[] {1, 5, 100, whole.length / 2, whole.length - 1}) {
      Files.write(file(), java.util.Arrays.copyOf(whole, whole.length - cut));
      write(1);
      assertThat(shown(file()).keySet()).doesNotContain("2 loss");
    }
    whole[whole.length - 2] ^= 1;
    Files.write(file(), whole);
    write(2);
    assertThat(shown(file())).containsKey("2 loss").doesNotContainKey("2 samples/sks");
  }

  @Test
  void shouldBeginAnewWhereNothingIsDone() throws IOException {
    write(0, 1);
    write(0, 5);
    assertThat(shown(file())).containsKey("5 loss").doesNotContainKey("1 loss");
  }

  /** Where Python has it. */
  @Test
  void shouldBeReadByTensorBoard() throws Exception {
    byte[] png = write(0, 1, 2, 3);
    write(2, 3, 4);
    String script =
        """
        import sys
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        a = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'images': 0, 'tensors': 0})
        a.Reload()
        print([(e.step, round(e.value, 6)) for e in a.Scalars('loss')])
        print([(e.step, e.width, e.height, len(e.encoded_image_string)) for e in a.Images('samples/sks')])
        print([(e.step, e.tensor_proto.string_val[0]) for e in a.Tensors('config')])
        print(a.summary_metadata['config'].plugin_data.plugin_name)
        """;
    assumeTrue(run("import tensorboard.backend").isBlank(), "no TensorBoard here");
    assertThat(run(script).lines())
        .containsExactly(
            "[(1, 1.0), (2, 0.5), (3, 0.333333), (4, 0.25)]",
            "[(1, 6, 4, %1$d), (2, 6, 4, %1$d), (3, 6, 4, %1$d), (4, 6, 4, %1$d)]"
                .formatted(png.length),
            "[(0, b'    seed: 7\\n'), (2, b'    seed: 7\\n')]",
            "text");
  }

  private String run(String script) throws IOException, InterruptedException {
    try {
      Process python =
          new ProcessBuilder("python3", "-W", "ignore", "-c", script, folder.toString())
              .redirectErrorStream(true)
              .start();
      String said = new String(python.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      python.waitFor();
      return said;
    } catch (IOException e) {
      return "no Python here";
    }
  }
}
