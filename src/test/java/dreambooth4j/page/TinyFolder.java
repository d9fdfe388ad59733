package dreambooth4j.page;

import dreambooth4j.data.TestPictures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;

/** What a run leaves for its page, made up. */
public final class TinyFolder {
  /** Names and words of users that would do harm, were they taken for a page's own. */
  public static final String HOSTILE =
      "</script><script>document.title='taken'</script><img src=x onerror=alert(1)> & \"it's\"";

  private TinyFolder() {}

  /** A run of so many steps with samples at its first and its last one, and a class image. */
  public static Path of(Path folder, String name, int steps, double learningRate)
      throws IOException {
    Files.createDirectories(folder.resolve("samples"));
    StringBuilder metrics = new StringBuilder();
    for (int i = 1; i <= steps; i++) {
      metrics.append(line(i, learningRate));
    }
    Files.writeString(folder.resolve(Metrics.FILE), metrics);
    Path painted = TestPictures.paint(folder, "painted", 64, 32, HOSTILE, steps);
    for (int step : new int[] {0, steps / 2, steps}) {
      String file = String.format(Locale.ROOT, "samples/%06d-%s.png", step, "sks");
      Files.copy(painted, folder.resolve(file), StandardCopyOption.REPLACE_EXISTING);
    }
    record(name, steps, learningRate).write(folder);
    return folder;
  }

  /** A step's line. */
  public static String line(int step, double learningRate) {
    return """
    {"step":%d,"loss":%s,"instance_loss":%s,"prior_loss":0.5,"grad_norm":1.5,\
    "learning_rate":%s,"pictures":4,"seconds":0.5,"memory_bytes":900000000,\
    "tensor_bytes":400000000,"time":"2026-11-28T12:00:00Z"}
    """
        .formatted(step, 1.2 / step, 1.0 / step, learningRate);
  }

  private static RunRecord record(String name, int steps, double learningRate) {
    return new RunRecord(
        name,
        RunRecord.State.COMPLETE,
        "",
        "2026-11-28T12:00:00Z",
        "2026-11-28T13:01:00Z",
        steps,
        0,
        "float32",
        new RunRecord.Memory(500_000_000, 100_000_000, false),
        List.of(new RunRecord.Fact("Java", "17")),
        List.of(
            new RunRecord.Value("", "Training", "seed", "7", "--seed"),
            new RunRecord.Value("", "Model", "clip_skip", "1", "default"),
            new RunRecord.Value(
                "", "Training", "learning_rate", "" + learningRate, "/home/me/config.yaml:12"),
            new RunRecord.Value("sks", "Data", "instance_prompt", HOSTILE, "config.yaml:3")),
        List.of(
            new RunRecord.Shown("painted.png", HOSTILE),
            new RunRecord.Shown("not there\0.png", "man")),
        0,
        List.of(HOSTILE),
        List.of(new RunRecord.Moved(HOSTILE, "class", 0.25)));
  }
}
