package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.bench.Charts.Line;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Loss curves of several runs in one picture: {@code metrics.jsonl} of a training, or what {@link
 * StepRun} printed.
 */
@Command(name = "curves", mixinStandardHelpOptions = true)
public final class Curves implements Callable<Integer> {
  @Parameters(arity = "1..*", description = "A name and a file each: exact=output/metrics.jsonl.")
  List<String> runs = new ArrayList<>();

  @Option(
      names = "--name",
      required = true,
      description = "Of the pictures: NAME-loss.png and, for dark pages, NAME-loss-dark.png.")
  Path name = Path.of("");

  @Option(names = "--title", defaultValue = "Loss of a step")
  String title = "";

  @Option(
      names = "--mean",
      defaultValue = "1",
      description = "Each point is the mean of so many steps up to it.")
  int mean;

  /** Runs it. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new Curves()).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    List<Line> lines = new ArrayList<>();
    for (String run : runs) {
      int equals = run.indexOf('=');
      List<Double> losses = losses(Path.of(run.substring(equals + 1)));
      List<Double> x = new ArrayList<>();
      List<Double> y = new ArrayList<>();
      for (int i = mean; i <= losses.size(); i++) {
        x.add((double) i);
        y.add(losses.subList(i - mean, i).stream().mapToDouble(v -> v).average().orElseThrow());
      }
      lines.add(new Line(run.substring(0, Math.max(0, equals)), x, y, null));
    }
    Path file = name.toAbsolutePath();
    new Charts(Objects.requireNonNull(file.getParent()), String.valueOf(file.getFileName()))
        .curves("loss", title, "step", "loss", lines);
    return 0;
  }

  private static List<Double> losses(Path file) throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    List<Double> losses = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      JsonNode json = mapper.readTree(line);
      json.path("losses").forEach(each -> losses.add(each.asDouble()));
      if (json.path("loss").isNumber()) {
        losses.add(json.get("loss").asDouble());
      }
    }
    return losses;
  }
}
