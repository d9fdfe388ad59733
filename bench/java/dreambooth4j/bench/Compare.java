package dreambooth4j.bench;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * Our training step and diffusers' on the same shapes, in turn, each in a process of its own: never
 * two at once; or, with {@code --model}, our class images and those of diffusers' pipeline. Speeds
 * are compared as ratios, round by round, for the machine's own speed wanders.
 *
 * <p>Ours runs first, and the result is written after every process, so that what was measured is
 * kept when something later fails. Where the baseline fails once, it is left out from then on: the
 * result says why, and the exit code is 1.
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

  @Option(
      names = "--model",
      description =
          "A model's folder: compares class images by it in place of steps; a step is then a batch"
              + " of pictures, from the prompt to pixels.")
  @Nullable Path model;

  @Option(names = "--pictures", defaultValue = "2", description = "With --model: made at once.")
  int pictures;

  @Option(names = "--sampler-steps", defaultValue = "10", description = "With --model.")
  int samplerSteps;

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
      description =
          "Options of step.py or class_images.py, such as --baseline=--channels-last,--fused. With"
              + " --encode diffusers encodes pictures and prompts in every step, as its script"
              + " does; without it both sides have them at hand.")
  List<String> baseline = new ArrayList<>();

  @Option(
      names = "--ours",
      split = ",",
      description =
          "Options of our step: --ours=--bf16,--lora=4,--checkpointing,--8bit,--fused-backward; of"
              + " class images --bf16.")
  List<String> our = new ArrayList<>();

  @Option(
      names = "--limit",
      defaultValue = "3600",
      description = "Seconds that a process may take; then it is ended and counts as failed.")
  int limit;

  @Option(
      names = "--results",
      description = "Folder; without it, that of this machine in bench/results.")
  @Nullable Path results;

  /** Of a step's memory, in the result. */
  static final int MEMORY_SAMPLES = 200;

  /** Python prints losses that are not finite as JSON does not know them. */
  private static final ObjectMapper MAPPER =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  /** One process: its median step and its peak, and all that it said. */
  private record Sample(double seconds, long peakBytes, JsonNode said) {
    /**
     * The last step's loss, or the mean of the last pictures' samples: a speed of what computes
     * nothing sensible is none.
     */
    JsonNode last() {
      JsonNode each = said.path(said.has("means") ? "means" : "losses");
      return each.path(each.size() - 1);
    }

    String what() {
      return said.has("means") ? "mean of the last pictures" : "last loss";
    }
  }

  /** Ratios of the rounds in which both were measured. */
  private final List<Double> speedups = new ArrayList<>();

  private final List<Double> memory = new ArrayList<>();
  private @Nullable String baselineError;

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
    Path folder = results == null ? Machine.results() : Files.createDirectories(results);
    Path file = folder.resolve("compare-" + name + ".json");
    ObjectNode json = MAPPER.createObjectNode();
    json.put("shape", shown());
    json.put("blas", System.getProperty("org.bytedeco.openblas.load", "openblas"));
    json.put("environment", environment());
    json.put("steps", steps).put("warmup", warmup);
    json.put("ours", String.join(" ", our));
    json.put("baseline", "diffusers " + String.join(" ", baseline));
    ArrayNode each = json.putArray("rounds");
    for (int i = 0; i < rounds; i++) {
      System.out.printf("round %d%n", i + 1);
      round(each.addObject(), json, file);
    }
    if (baselineError != null) {
      System.out.println("the baseline failed, ours is in " + file + ": " + baselineError);
      return 1;
    }
    System.out.printf(
        "%.2f times as fast (%.2f to %.2f), with %.2f of the memory%n",
        median(speedups), Collections.min(speedups), Collections.max(speedups), median(memory));
    return 0;
  }

  /** Ours, then the baseline; the file has what is known after each. */
  private void round(ObjectNode round, ObjectNode json, Path file)
      throws IOException, InterruptedException {
    Sample mine = sample(ours());
    if (mine.said.has("memory")) {
      json.set("memory over a step", MemoryTrace.thinned(mine.said.path("memory"), MEMORY_SAMPLES));
    }
    round.put("ourSeconds", mine.seconds).put("ourPeakBytes", mine.peakBytes);
    round.set(model == null ? "ourLastLoss" : "ourLastMean", mine.last());
    tell(round, "our", mine);
    if (mine.said.has("plannedBytes")) {
      round.set("ourPlannedBytes", mine.said.path("plannedBytes"));
      System.out.printf(
          "the dry run says %.2f GB%n", mine.said.path("plannedBytes").asLong() / 1e9);
    }
    if (!json.has("machine")) {
      json.set("machine", Machine.facts());
    }
    Machine.write(file, json);
    if (baselineError != null) {
      return;
    }
    Sample their;
    try {
      their = sample(theirs());
    } catch (IOException e) {
      baselineError = String.valueOf(e.getMessage());
      json.put("baselineError", baselineError);
      Machine.write(file, json);
      return;
    }
    round.put("theirSeconds", their.seconds).put("theirPeakBytes", their.peakBytes);
    round.set(model == null ? "theirLastLoss" : "theirLastMean", their.last());
    tell(round, "their", their);
    speedups.add(their.seconds / mine.seconds);
    memory.add((double) mine.peakBytes / their.peakBytes);
    json.put("speedup", median(speedups)).put("memory", median(memory));
    Machine.write(file, json);
    System.out.printf("%.2f times as fast%n", their.seconds / mine.seconds);
  }

  private List<String> ours() {
    List<String> command =
        new ArrayList<>(List.of(ProcessHandle.current().info().command().orElseThrow()));
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    Class<?> ours = model == null ? StepRun.class : ClassImageRun.class;
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), ours.getName()));
    command.addAll(shape());
    command.addAll(our);
    return command;
  }

  private List<String> theirs() {
    String script = model == null ? "step.py" : "class_images.py";
    List<String> command = new ArrayList<>(List.of(python, "bench/baseline/" + script));
    command.addAll(shape());
    command.addAll(baseline);
    return command;
  }

  /**
   * What of the environment changes how fast OpenBLAS is; of both sides, but only ours heeds it.
   */
  private static String environment() {
    return Stream.of("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
        .filter(each -> System.getenv(each) != null)
        .map(each -> each + "=" + System.getenv(each))
        .collect(Collectors.joining(" "));
  }

  private String shown() {
    return model == null
        ? "%s, %d+%d at %d px".formatted(unet, pairs, pairs, side)
        : "%s, %d class images at %d px, %d sampler steps"
            .formatted(model.getFileName(), pictures, side, samplerSteps);
  }

  private List<String> shape() {
    if (model != null) {
      return List.of(model.toString(), "" + pictures, "" + side, "" + samplerSteps, "" + steps);
    }
    return List.of(unet, "" + pairs, "" + side, "77", "" + steps);
  }

  /** Says a sample; of CUDA's, what its allocator had at most once all was found. */
  private static void tell(ObjectNode round, String whose, Sample sample) {
    System.out.printf(
        "%s step: %.3f s, %.2f GB, %s %s%n",
        whose, sample.seconds, sample.peakBytes / 1e9, sample.what(), sample.last());
    if (sample.said.has("settledPeakBytes")) {
      long settled = sample.said.path("settledPeakBytes").asLong();
      round.put(whose + "SettledPeakBytes", settled);
      System.out.printf("%s settled peak: %.2f GB%n", whose, settled / 1e9);
    }
  }

  private Sample sample(List<String> command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    Thread watch = new Thread(() -> endAtLimit(process), "limit");
    watch.setDaemon(true);
    watch.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int code = process.waitFor();
    watch.interrupt();
    if (code != 0) {
      throw new IOException("exit code %d: %s".formatted(code, String.join(" ", command)));
    }
    JsonNode json = MAPPER.readTree(said.strip().lines().reduce((a, b) -> b).orElse(""));
    if (json.path("seconds").size() < steps) {
      throw new IOException("no times of %d steps: %s".formatted(steps, String.join(" ", command)));
    }
    List<Double> seconds = new ArrayList<>();
    for (int i = warmup; i < steps; i++) {
      seconds.add(json.get("seconds").get(i).asDouble());
    }
    return new Sample(median(seconds), json.path("peakBytes").asLong(), json);
  }

  private void endAtLimit(Process process) {
    try {
      if (!process.waitFor(limit, TimeUnit.SECONDS)) {
        System.err.printf("ended after %d s, its limit (--limit)%n", limit);
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      // it ended by itself
    }
  }

  private static double median(List<Double> values) {
    return Results.median(values.stream().mapToDouble(Double::doubleValue).sorted().toArray());
  }
}
