package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.StreamSupport;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordedFrame;
import jdk.jfr.consumer.RecordingFile;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Where a step on the CPU spends its time, by op: Java's flight recorder looks every 20 ms at which
 * op the thread that trains is in. So what the op's other threads do counts as that op too, and
 * where one of them comes late, the wait does.
 */
@Command(name = "bench/run where", mixinStandardHelpOptions = true, sortOptions = false)
public final class Where implements Callable<Integer> {
  private static final String ENGINE = "dreambooth4j.engine.";

  /** What ops are built on, and do not stand for. */
  private static final Set<String> BELOW_OPS =
      Set.of("Native", "Arena", "Boxed", "Tensor", "Threads", "Parameters", "Var", "Products");

  private static final String STEP = "dreambooth4j.train.TrainingStep";

  @Option(names = "--unet", defaultValue = "bench/models/sd15-unet.json")
  String unet = "";

  @Option(names = "--pairs", defaultValue = "1")
  int pairs;

  @Option(names = "--side", defaultValue = "256", description = "Of the pictures, in pixels.")
  int side;

  @Option(names = "--steps", defaultValue = "6")
  int steps;

  @Option(names = "--ours", split = ",", description = "Options of our step, as of compare.")
  List<String> ours = new ArrayList<>();

  /** Runs it. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new Where()).execute(args));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory("where");
    Path recording = folder.resolve("steps.jfr");
    Map<String, Integer> samples = new HashMap<>();
    double[] seconds;
    try {
      seconds = run(recording);
      read(recording, samples);
    } finally {
      Files.deleteIfExists(recording);
      Files.delete(folder);
    }
    int all = samples.values().stream().mapToInt(Integer::intValue).sum();
    System.out.printf(
        "A step takes %.2f s (median of %d; %d samples).%n%n| op | share | s a step |%n|---|---|---|%n",
        Results.median(seconds), seconds.length, all);
    samples.entrySet().stream()
        .sorted(Comparator.comparing(each -> -each.getValue()))
        .filter(each -> each.getValue() * 200 >= all)
        .forEach(
            each ->
                System.out.printf(
                    "| %s | %.1f %% | %.2f |%n",
                    each.getKey(),
                    100.0 * each.getValue() / all,
                    Results.median(seconds) * each.getValue() / all));
    return 0;
  }

  /** Sorted seconds of the steps, the first left out. */
  private double[] run(Path recording) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(List.of(ProcessHandle.current().info().command().orElseThrow()));
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.add(
        "-XX:StartFlightRecording:filename=%s,settings=none,+jdk.NativeMethodSample#enabled=true,+jdk.NativeMethodSample#period=20ms"
            .formatted(recording));
    command.addAll(
        List.of("-cp", System.getProperty("java.class.path"), StepRun.class.getName(), unet));
    command.addAll(List.of("" + pairs, "" + side, "77", "" + steps));
    command.addAll(ours);
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException("the steps failed: " + String.join(" ", command));
    }
    JsonNode json = new ObjectMapper().readTree(said.substring(said.indexOf("{\"")));
    return StreamSupport.stream(json.path("seconds").spliterator(), false)
        .skip(1)
        .mapToDouble(JsonNode::asDouble)
        .sorted()
        .toArray();
  }

  private static void read(Path recording, Map<String, Integer> samples) throws IOException {
    try (RecordingFile file = new RecordingFile(recording)) {
      while (file.hasMoreEvents()) {
        RecordedEvent event = file.readEvent();
        if (event.getStackTrace() != null) {
          List<RecordedFrame> frames = event.getStackTrace().getFrames();
          if (frames.stream().anyMatch(each -> className(each).startsWith(STEP))) {
            samples.merge(op(frames), 1, Integer::sum);
          }
        }
      }
    }
  }

  private static String className(RecordedFrame frame) {
    return frame.getMethod().getType().getName();
  }

  /** The innermost op of the engine, and in which part of the step. */
  private static String op(List<RecordedFrame> frames) {
    boolean gathers = false;
    String op = null;
    boolean backward = false;
    for (RecordedFrame each : frames) {
      if (className(each).startsWith(ENGINE)) {
        String name = className(each).replaceFirst("[$/].*", "").replaceFirst(".*\\.", "");
        if (name.endsWith("Optimizer")) {
          return "norm of gradients, AdamW, copies of weights";
        }
        gathers |= op == null && name.equals("Parameter");
        backward |= name.equals("Tape") && each.getMethod().getName().contains("ackward");
        if (op == null && !BELOW_OPS.contains(name) && !name.equals("Parameter")) {
          op = name;
        }
      }
    }
    String part = gathers ? "gradient of weights" : backward ? "backward" : "forward";
    return "%s, %s".formatted(op == null ? "other" : op, part);
  }
}
