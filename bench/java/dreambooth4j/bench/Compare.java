package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * Our training step and diffusers' on the same shapes, in turn, each in a process of its own: never
 * two at once. Speeds are compared as ratios, round by round, for the machine's own speed wanders.
 */
@Command(name = "bench/run compare", mixinStandardHelpOptions = true, sortOptions = false)
public final class Compare implements Callable<Integer> {
  @Spec CommandSpec spec = CommandSpec.create();

  @Option(names = "--name", required = true, description = "Of the result: compare-NAME.json.")
  String name = "";

  @Option(
      names = "--python",
      defaultValue = "python3",
      description = "One with bench/baseline/requirements.txt installed.")
  String python = "python3";

  @Option(names = "--unet", defaultValue = "bench/models/sd15-unet.json")
  String unet = "";

  @Option(names = "--pairs", defaultValue = "1")
  int pairs;

  @Option(names = "--side", defaultValue = "256", description = "Of the pictures, in pixels.")
  int side;

  @Option(
      names = "--steps",
      defaultValue = "6",
      description = "Of each process, those that do not count among them.")
  int steps;

  @Option(names = "--warmup", defaultValue = "2", description = "Steps that do not count.")
  int warmup;

  @Option(names = "--rounds", defaultValue = "3")
  int rounds;

  @Option(
      names = "--baseline",
      split = ",",
      description = "Options of step.py, such as --baseline=--channels-last,--fused.")
  List<String> baseline = new ArrayList<>();

  @Option(
      names = "--ours",
      split = ",",
      description = "Options of our step: --ours=--bf16,--checkpointing,--8bit,--fused-backward.")
  List<String> our = new ArrayList<>();

  @Option(
      names = "--results",
      description = "Folder; without it, that of this machine in bench/results.")
  @Nullable Path results;

  /** Of a step's memory, in the result. */
  static final int MEMORY_SAMPLES = 200;

  /** One process: its median step and its peak, and all that it said. */
  private record Sample(double seconds, long peakBytes, JsonNode said) {}

  /** Runs it. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new Compare()).execute(args));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (warmup < 0 || steps <= warmup) {
      throw new ParameterException(
          spec.commandLine(),
          "--warmup %d of --steps %d: it must be 0 or more, and leave a step to measure"
              .formatted(warmup, steps));
    }
    if (rounds < 1) {
      throw new ParameterException(spec.commandLine(), "--rounds %d: at least 1".formatted(rounds));
    }
    List<String> shape = List.of(unet, "" + pairs, "" + side, "77", "" + steps);
    List<String> ours =
        new ArrayList<>(List.of(ProcessHandle.current().info().command().orElseThrow()));
    ours.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    ours.addAll(List.of("-cp", System.getProperty("java.class.path"), StepRun.class.getName()));
    ours.addAll(shape);
    ours.addAll(our);
    List<String> theirs = new ArrayList<>(List.of(python, "bench/baseline/step.py"));
    theirs.addAll(shape);
    theirs.addAll(baseline);
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("shape", "%s, %d+%d at %d px".formatted(unet, pairs, pairs, side));
    json.put("blas", System.getProperty("org.bytedeco.openblas.load", "openblas"));
    json.put("steps", steps).put("warmup", warmup);
    json.put("ours", String.join(" ", our));
    json.put("baseline", "diffusers " + String.join(" ", baseline));
    ArrayNode each = json.putArray("rounds");
    double[] speedups = new double[rounds];
    double[] memory = new double[rounds];
    for (int i = 0; i < rounds; i++) {
      Sample their = sample(theirs);
      Sample mine = sample(ours);
      json.set("memory over a step", MemoryTrace.thinned(mine.said.path("memory"), MEMORY_SAMPLES));
      speedups[i] = their.seconds / mine.seconds;
      memory[i] = (double) mine.peakBytes / their.peakBytes;
      ObjectNode round =
          each.addObject()
              .put("theirSeconds", their.seconds)
              .put("ourSeconds", mine.seconds)
              .put("theirPeakBytes", their.peakBytes)
              .put("ourPeakBytes", mine.peakBytes);
      settled(round, their.said, mine.said);
      System.out.printf(
          "round %d: diffusers %.3f s, %.2f GB; ours %.3f s, %.2f GB; %.2f times as fast%n",
          i + 1,
          their.seconds,
          their.peakBytes / 1e9,
          mine.seconds,
          mine.peakBytes / 1e9,
          speedups[i]);
    }
    json.put("speedup", median(speedups)).put("memory", median(memory));
    json.set("machine", Machine.facts());
    Path folder = results == null ? Machine.results() : Files.createDirectories(results);
    Machine.write(folder.resolve("compare-" + name + ".json"), json);
    System.out.printf(
        "%.2f times as fast (%.2f to %.2f), with %.2f of the memory%n",
        median(speedups),
        Arrays.stream(speedups).min().orElseThrow(),
        Arrays.stream(speedups).max().orElseThrow(),
        median(memory));
    return 0;
  }

  /** What CUDA's allocator had at most once all was found, and what our dry run had said. */
  private static void settled(ObjectNode round, JsonNode theirs, JsonNode ours) {
    if (!ours.has("settledPeakBytes")) {
      return;
    }
    round
        .put("theirSettledPeakBytes", theirs.path("settledPeakBytes").asLong())
        .put("ourSettledPeakBytes", ours.path("settledPeakBytes").asLong())
        .put("ourPlannedBytes", ours.path("plannedBytes").asLong());
    System.out.printf(
        "settled: diffusers %.2f GB, ours %.2f GB, of which the dry run says %.2f GB%n",
        theirs.path("settledPeakBytes").asLong() / 1e9,
        ours.path("settledPeakBytes").asLong() / 1e9,
        ours.path("plannedBytes").asLong() / 1e9);
  }

  private Sample sample(List<String> command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException("failed: " + String.join(" ", command));
    }
    JsonNode json =
        new ObjectMapper().readTree(said.strip().lines().reduce((a, b) -> b).orElse(""));
    double[] seconds = new double[steps - warmup];
    for (int i = 0; i < seconds.length; i++) {
      seconds[i] = json.get("seconds").get(warmup + i).asDouble();
    }
    return new Sample(median(seconds), json.get("peakBytes").asLong(), json);
  }

  private static double median(double[] values) {
    return Results.median(Arrays.stream(values).sorted().toArray());
  }
}
