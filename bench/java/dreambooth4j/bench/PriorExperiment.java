package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.bench.ExperimentPlan.Run;
import dreambooth4j.cli.Main;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Does class images' work what is said of it? Trains every run of a plan by {@code dreambooth
 * train}, measures each at several steps by {@code dreambooth bleed}, keeps the results, draws
 * figures of them and writes the page.
 */
@Command(
    name = "bench/experiments/prior-preservation/run",
    mixinStandardHelpOptions = true,
    description =
        "Trains and measures what is not measured yet, draws the figures and writes the page.")
public final class PriorExperiment implements Callable<Integer> {
  private static final ObjectMapper JSON = new ObjectMapper();

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      defaultValue = "bench/experiments/prior-preservation/experiment.yaml",
      description = "What is trained (${DEFAULT-VALUE} if not given).")
  Path planFile = Path.of("");

  @Option(
      names = "--work",
      paramLabel = "FOLDER",
      defaultValue = "output/prior-preservation",
      description = "Where models lie while they are measured (${DEFAULT-VALUE} if not given).")
  Path workFolder = Path.of("");

  @Option(
      names = "--page",
      paramLabel = "FILE",
      defaultValue = "docs/prior-preservation.md",
      description = "The page to write; its figures lie in images/ beside it.")
  Path page = Path.of("");

  @Option(
      names = "--only",
      paramLabel = "TEXT",
      defaultValue = "",
      description = "Train only runs whose name, such as santa/weight-0.4-1, begins with this.")
  String only = "";

  @Option(
      names = "--report",
      description = "Train nothing: draw and write again from the results that are there.")
  boolean reportOnly;

  @Option(
      names = "--again",
      description = "Train runs of --only again from scratch and compare with the kept results.")
  boolean again;

  /** Runs it. */
  public static void main(String[] args) {
    CommandLine line = new CommandLine(new PriorExperiment());
    line.setExecutionExceptionHandler(
        (error, command, parsed) -> {
          if (!(error instanceof Problem)) {
            throw error;
          }
          command.getErr().println("error: " + error.getMessage());
          return 1;
        });
    System.exit(line.execute(args));
  }

  @Override
  public Integer call() throws IOException {
    Path file = planFile.toAbsolutePath();
    Path folder = Objects.requireNonNull(file.getParent());
    ExperimentPlan plan = ExperimentPlan.read(file);
    Path work = workFolder.toAbsolutePath();
    ExperimentResults results = ExperimentResults.read(folder.resolve("results.jsonl.gz"));
    List<Run> runs = plan.runs().stream().filter(run -> run.toString().startsWith(only)).toList();
    if (runs.isEmpty()) {
      throw Problem.usage("--only %s: no run has a name that begins so".formatted(only));
    }
    int done = 0;
    boolean same = true;
    for (Run run : runs) {
      done++;
      if (reportOnly || (results.has(run) && !again)) {
        continue;
      }
      System.err.printf("%d of %d: %s%n", done, runs.size(), run);
      JsonNode result = measured(plan, run, folder, work);
      if (again && results.has(run)) {
        double apart = results.apart(run, result);
        System.err.printf("%s: %s%n", run, said(apart));
        same &= apart == 0;
      } else {
        results.add(run, result);
      }
    }
    new ExperimentReport(plan, results, work, page).write();
    return same ? 0 : 1;
  }

  private static String said(double apart) {
    if (apart == 0) {
      return "the same numbers";
    }
    return Double.isFinite(apart)
        ? String.format(Locale.ROOT, "OTHER NUMBERS, at most %.4f apart", apart)
        : "OTHER NUMBERS, of other prompts or measures";
  }

  /** Trains, measures, and frees the disk. */
  private static JsonNode measured(ExperimentPlan plan, Run run, Path folder, Path work)
      throws IOException {
    Path output = ExperimentPlan.output(run, work);
    delete(output);
    Path config = configOf(run, work);
    Files.createDirectories(Objects.requireNonNull(output.getParent()));
    Map<String, Object> keys = plan.config(run, folder, work);
    JSON.writerWithDefaultPrettyPrinter().writeValue(config.toFile(), keys);
    command("train", config.toString());
    List<JsonNode> metrics = new ArrayList<>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      JsonNode json = JSON.readTree(line);
      if (json.has("instance_loss")) {
        metrics.add(json);
      }
    }
    ObjectNode result = JSON.createObjectNode();
    ArrayNode points = result.putArray("points");
    int from = 0;
    for (int step : plan.measuredAt()) {
      ObjectNode point = points.addObject().put("step", step);
      point.put("instance_loss", mean(metrics.subList(from, step), "instance_loss"));
      if (metrics.get(0).has("prior_loss")) {
        point.put("prior_loss", mean(metrics.subList(from, step), "prior_loss"));
      }
      if (!run.cell().equals(ExperimentPlan.UNTOUCHED)) {
        point.set("bleed", bleed(plan, run, step, keys, work));
      }
      from = step;
    }
    if (run.seed() == plan.seeds().get(0) && ExperimentPictures.SHOWN.contains(run.cell())) {
      for (String what : List.of("class", "subject")) {
        Path picture = ExperimentPictures.file(work, run.subject(), run.cell(), what);
        Files.createDirectories(Objects.requireNonNull(picture.getParent()));
        draw(plan, run, plan.prompt(run.subject(), what), work, picture);
      }
    }
    delete(output);
    return result;
  }

  private static double mean(List<JsonNode> lines, String key) {
    double mean = lines.stream().mapToDouble(each -> each.get(key).asDouble()).average().orElse(0);
    return ExperimentResults.digits(mean, 5);
  }

  /** What a model after so many steps moved; its sheet of pictures stays beside the models. */
  private static JsonNode bleed(
      ExperimentPlan plan, Run run, int step, Map<String, Object> keys, Path work)
      throws IOException {
    Path into = work.resolve("sheets").resolve("%s-%d".formatted(run, step));
    Path config = configOf(run, work);
    List<String> args = new ArrayList<>(List.of("bleed", "-o", into.toString()));
    Map<String, Object> how = new LinkedHashMap<>(plan.bleed());
    if (step < plan.steps()) {
      how.put("pictures", 0); // they take most of the time, and are looked at where a run ends
    }
    how.forEach((name, value) -> args.addAll(List.of("--" + name, value.toString())));
    args.addAll(List.of("--subject", plan.prompt(run.subject(), "subject")));
    plan.controls(run.cell()).forEach(control -> args.addAll(List.of("--prompt", control)));
    args.add(String.valueOf(keys.get("pretrained_model_name_or_path")));
    args.add(plan.model(run, step, work).toString());
    args.add(config.toString());
    command(args.toArray(String[]::new));
    return ExperimentResults.compact(JSON.readTree(into.resolve("bleed.json").toFile()));
  }

  private static void draw(ExperimentPlan plan, Run run, String prompt, Path work, Path picture) {
    String side = String.valueOf(plan.train().get("resolution"));
    List<String> args = new ArrayList<>(List.of("generate", "-n", "6", "--seed", "1"));
    for (String name : List.of("steps", "guidance")) {
      args.addAll(List.of("--" + name, String.valueOf(plan.bleed().get(name))));
    }
    args.addAll(List.of("--width", side, "--height", side, "-o", picture.toString()));
    args.addAll(List.of(plan.model(run, plan.steps(), work).toString(), prompt));
    command(args.toArray(String[]::new));
  }

  private static Path configOf(Run run, Path work) {
    Path output = ExperimentPlan.output(run, work);
    return output.resolveSibling(output.getFileName() + ".json");
  }

  private static void command(String... args) {
    int code = Main.run(args);
    if (code != 0) {
      throw new Problem(
          Problem.Kind.FAILED,
          "dreambooth %s ended with exit code %d".formatted(String.join(" ", args), code));
    }
  }

  private static void delete(Path folder) throws IOException {
    if (Files.notExists(folder)) {
      return;
    }
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    }
  }
}
