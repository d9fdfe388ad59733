package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.Target;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.kernel.DeviceTimer;
import dreambooth4j.engine.op.DeviceWorks;
import dreambooth4j.engine.op.DeviceWorks.Work;
import dreambooth4j.pipeline.Devices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Rates of the pieces of a step on a GPU, in JMH's JSON beside a {@code .machine.json} with the
 * roofline that was measured in the same process. With {@code DREAMBOOTH4J_KERNELS=off
 * DREAMBOOTH4J_CUDNN=off} in the environment the ops are ATen's.
 */
@Command(name = "rates", mixinStandardHelpOptions = true, sortOptions = false)
public final class Rates implements Callable<Integer> {
  @Option(names = "--device", defaultValue = "cuda")
  Target target = Target.CUDA;

  @Option(names = "--dtype", defaultValue = "BF16")
  DType dtype = DType.BF16;

  @Option(names = "--rows", defaultValue = "2")
  int rows;

  @Option(names = "--side", defaultValue = "512", description = "Of the pictures, in pixels.")
  int side;

  @Option(
      names = "--ops-only",
      description = "Without convolutions' parts, attentions and optimizers.")
  boolean opsOnly;

  @Option(names = "--results", defaultValue = "bench/results", description = "Folder.")
  Path results = Path.of("");

  @Option(names = "--name", required = true, description = "Of the result: NAME.json.")
  String name = "";

  @Option(names = "--against", description = "Another's NAME.json: says how many times as fast.")
  Path against = Path.of("");

  private final ArrayNode all = new ObjectMapper().createArrayNode();
  private final Map<String, Double> theirs = new HashMap<>();
  private double gigabytes;
  private double gflops;

  /** Runs it. */
  public static void main(String[] args) {
    System.exit(
        new CommandLine(new Rates())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExecutionExceptionHandler(Rates::explain)
            .execute(args));
  }

  private static int explain(Exception error, CommandLine line, CommandLine.ParseResult parsed) {
    if (!(error instanceof Problem problem)) {
      error.printStackTrace();
      return Problem.Kind.FAILED.exitCode();
    }
    line.getErr().println("error: " + problem.getMessage());
    return problem.kind().exitCode();
  }

  @Override
  public Integer call() throws IOException {
    Device device = Devices.choose(target, false);
    if (Files.isRegularFile(against)) {
      for (JsonNode each : new ObjectMapper().readTree(against.toFile())) {
        theirs.put(key(each), each.at("/primaryMetric/score").asDouble());
      }
    }
    try (DeviceTimer timer = new DeviceTimer(device)) {
      new DeviceWorks(device, dtype, rows, side, work -> roof(work, timer)).roofline();
      System.out.printf("roof: %.0f GFLOP/s, %.0f GB/s%n", gflops, gigabytes);
      DeviceWorks works = new DeviceWorks(device, dtype, rows, side, work -> take(work, timer));
      works.ops();
      if (!opsOnly) {
        works.convolutions();
        works.attentions();
      }
      works.optimizers();
    }
    Files.createDirectories(results);
    new ObjectMapper()
        .enable(SerializationFeature.INDENT_OUTPUT)
        .writeValue(results.resolve(name + ".json").toFile(), all);
    ObjectNode machine = Machine.facts();
    machine.set("roofline", new Roofline(gflops, gigabytes).json());
    Machine.write(results.resolve(name + ".machine.json"), machine);
    return 0;
  }

  private void roof(Work work, DeviceTimer timer) {
    double seconds = timer.time(work.run(), work.captured()).median();
    if (work.flops() > 0) {
      gflops = work.flops() / seconds / 1e9;
    } else {
      gigabytes = work.bytes() / seconds / 1e9;
    }
  }

  /** One that fails is said, and the others go on. */
  private void take(Work work, DeviceTimer timer) {
    DeviceTimer.Time time;
    try {
      time = timer.time(work.run(), work.captured());
    } catch (RuntimeException e) {
      System.out.printf("%-60s %-16s not done: %s%n", work.op(), work.what(), e.getMessage());
      return;
    }
    double rate = work.sets() / time.median();
    double flopRate = work.flops() / time.median() / 1e9;
    double byteRate = work.bytes() / time.median() / 1e9;
    ObjectNode json = all.addObject().put("benchmark", "Rates." + work.what()).put("mode", "thrpt");
    json.putObject("params")
        .put("op", work.op())
        .put("rows", "" + rows)
        .put("side", "" + side)
        .put("dtype", dtype.name())
        .put("set", "" + work.sets());
    double spread = work.sets() / time.least() - work.sets() / time.most();
    json.putObject("primaryMetric")
        .put("score", rate)
        .put("scoreError", spread / 2)
        .put("scoreUnit", "ops/s");
    ObjectNode more = json.putObject("secondaryMetrics");
    more.putObject("gflops").put("score", flopRate).put("scoreUnit", "ops/s");
    more.putObject("gigabytes").put("score", byteRate).put("scoreUnit", "ops/s");
    double roof =
        work.flops() > 0
            ? new Roofline(gflops, gigabytes).at(work.flops() / work.bytes(), work.bytes())
            : gigabytes;
    Double before = theirs.get(key(json));
    System.out.printf(
        "%-60s %-16s %9.1f us %9.0f GFLOP/s %7.0f GB/s %4.0f %%%s%n",
        work.op(),
        work.what(),
        1e6 / rate,
        flopRate,
        byteRate,
        100 * (work.flops() > 0 ? flopRate : byteRate) / roof,
        before == null ? "" : "  %.2f times as fast".formatted(rate / before));
  }

  private static String key(JsonNode result) {
    return result.get("benchmark").asText() + " " + result.at("/params/op").asText();
  }
}
