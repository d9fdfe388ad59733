package dreambooth4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.Target;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.engine.kernel.CudaRecorder;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.train.MadeUpTraining;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Whole training steps of a random UNet in a process of its own, to be run in turn with {@code
 * bench/baseline/step.py}, which takes the same arguments and prints the same line of JSON.
 */
public final class StepRun {
  private StepRun() {}

  private static final String LORA = "--lora=";
  private static final String GRAPH = "--graph=";
  private static final String TURNS = "--turns";

  /** A learning rate at which losses fall from step to step. */
  private static final double GENTLE = 1e-5;

  /** Steps on CUDA after which the peak is measured once more: what comes once lies behind them. */
  private static final int SETTLED = 2;

  /**
   * Arguments: a UNet's config.json, pairs, side of the pictures in pixels, tokens, steps; then in
   * any order {@code --bf16}, {@code --tf32}, {@code --checkpointing}, {@code --8bit}, {@code
   * --fused-backward}, {@code --gentle} (a learning rate of 1e-5 and no clipping, for loss curves),
   * {@code --lora=RANK} (adapters of this rank on attention train alone), {@code --turns} (before
   * each step "ready" is printed on standard error and a byte awaited on standard input: {@code
   * bench/turns.py} so lets two builds step in turn), {@code --device=cuda} and, with it, {@code
   * --captured} and {@code --graph=FOLDER} (where the captured graph is written as graph-1.dot).
   */
  public static void main(String[] args) throws IOException {
    UNetConfig config = config(Path.of(args[0]));
    MadeUpTraining.Sizes batch =
        new MadeUpTraining.Sizes(
            Integer.parseInt(args[1]), Integer.parseInt(args[2]) / 8, Integer.parseInt(args[3]));
    try {
      Set<String> options = Set.copyOf(List.of(args).subList(5, args.length));
      System.out.println(run(config, batch, Integer.parseInt(args[4]), options));
    } catch (Problem e) {
      System.err.println("error: " + e.getMessage());
      System.exit(e.kind().exitCode());
    }
  }

  private static ObjectNode run(
      UNetConfig config, MadeUpTraining.Sizes batch, int steps, Set<String> options) {
    MadeUpTraining.Manner manner = manner(options);
    boolean cuda = options.contains("--device=cuda");
    Device device = Devices.choose(cuda ? Target.CUDA : Target.CPU, options.contains("--tf32"));
    ObjectNode json = new ObjectMapper().createObjectNode();
    if (cuda) {
      json.put("plannedBytes", planned(config, batch, manner));
    }
    try (Arena run = Arena.open("run", OpBackend.on(device))) {
      long before = ProcessMemory.peak().orElse(0); // with the libraries, as step.py counts it
      try (MadeUpTraining training = new MadeUpTraining(run, config, batch, manner)) {
        if (options.contains("--captured")) {
          training.capture(new CudaRecorder(graphs(options)));
        }
        ArrayNode seconds = json.putArray("seconds");
        ArrayNode losses = json.putArray("losses");
        for (int i = 0; i < steps; i++) {
          if (cuda && i == SETTLED) {
            json.put("peakBytes", CudaDevice.peakBytes());
            CudaDevice.forgetPeak();
          }
          boolean traced = !cuda && i == steps - 1;
          if (options.contains(TURNS)) {
            await();
          }
          long start = System.nanoTime();
          try (MemoryTrace trace = traced ? new MemoryTrace(json.putArray("memory"), run) : null) {
            losses.add(training.step()); // the loss is read: the device is done with it
          }
          seconds.add((System.nanoTime() - start) / 1e9);
        }
      }
      json.put("tensorBytes", run.meter().peakBytes());
      if (cuda) {
        long settled = CudaDevice.peakBytes();
        json.put("peakBytes", Math.max(settled, json.path("peakBytes").asLong()));
        json.put("settledPeakBytes", settled);
      } else {
        json.put("peakBytes", ProcessMemory.peak().orElse(0) - before);
      }
    }
    return json;
  }

  private static @Nullable Path graphs(Set<String> options) {
    return options.stream()
        .filter(each -> each.startsWith(GRAPH))
        .map(each -> Path.of(each.substring(GRAPH.length())))
        .findFirst()
        .orElse(null);
  }

  /** Says that a step could begin, and waits until it may. */
  private static void await() {
    System.err.println("ready");
    try {
      if (System.in.read() < 0) {
        throw Problem.usage("--turns: standard input ended before the last step");
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What a dry step says that tensors need at their peak. */
  private static long planned(
      UNetConfig config, MadeUpTraining.Sizes batch, MadeUpTraining.Manner manner) {
    try (Arena dry = Arena.open("plan", OpBackend.dry(Device.CUDA));
        MadeUpTraining training = new MadeUpTraining(dry, config, batch, manner)) {
      training.step();
      return dry.meter().peakBytes();
    }
  }

  private static MadeUpTraining.Manner manner(Set<String> options) {
    Set<String> known =
        Set.of(
            "--bf16",
            "--tf32",
            "--checkpointing",
            "--8bit",
            "--fused-backward",
            "--gentle",
            TURNS,
            "--device=cuda",
            "--captured");
    Set<String> plain = new HashSet<>(options);
    plain.removeIf(each -> each.startsWith(LORA) || each.startsWith(GRAPH));
    if (!known.containsAll(plain)) {
      throw Problem.usage(
          "options are %s, %sRANK and %sFOLDER, found %s".formatted(known, LORA, GRAPH, options));
    }
    if (options.contains("--captured")
        && (!options.contains("--device=cuda") || options.contains("--fused-backward"))) {
      throw Problem.usage("--captured goes with --device=cuda, and without --fused-backward");
    }
    if (graphs(options) != null && !options.contains("--captured")) {
      throw Problem.usage("--graph goes with --captured");
    }
    DType dtype = options.contains("--bf16") ? DType.BF16 : DType.F32;
    MemoryConfig memory =
        new MemoryConfig(
            options.contains("--checkpointing") ? Checkpointing.TRUE : Checkpointing.FALSE,
            options.contains("--8bit"),
            options.contains("--fused-backward"));
    MadeUpTraining.Manner manner =
        options.contains("--gentle")
            ? new MadeUpTraining.Manner(dtype, memory, GENTLE, 0, 0)
            : new MadeUpTraining.Manner(dtype, memory);
    return options.stream()
        .filter(each -> each.startsWith(LORA))
        .map(each -> manner.withRank(Integer.parseInt(each.substring(LORA.length()))))
        .findFirst()
        .orElse(manner);
  }

  /** A UNet's settings. */
  static UNetConfig config(Path file) throws IOException {
    return UNetConfig.of(new ObjectMapper().readTree(file.toFile()), file.toString());
  }
}
