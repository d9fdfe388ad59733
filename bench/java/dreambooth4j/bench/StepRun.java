package dreambooth4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.verify.MadeUpTraining;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * Whole training steps of a random UNet in a process of its own, to be run in turn with {@code
 * bench/baseline/step.py}, which takes the same arguments and prints the same line of JSON.
 */
public final class StepRun {
  private StepRun() {}

  /**
   * Arguments: a UNet's config.json, pairs, side of the pictures in pixels, tokens, steps; then
   * {@code --bf16}, {@code --checkpointing}, {@code --8bit} and {@code --fused-backward} in any
   * order.
   */
  public static void main(String[] args) throws IOException {
    UNetConfig config = config(Path.of(args[0]));
    MadeUpTraining.Batch batch =
        new MadeUpTraining.Batch(
            Integer.parseInt(args[1]), Integer.parseInt(args[2]) / 8, Integer.parseInt(args[3]));
    MadeUpTraining.Manner manner = manner(Set.copyOf(List.of(args).subList(5, args.length)));
    ObjectNode json = new ObjectMapper().createObjectNode();
    try (Arena run = Arena.open("run")) {
      long before = ProcessMemory.peak().orElse(0); // with the libraries, as step.py counts it
      MadeUpTraining training = new MadeUpTraining(run, config, batch, manner);
      ArrayNode seconds = json.putArray("seconds");
      ArrayNode losses = json.putArray("losses");
      int steps = Integer.parseInt(args[4]);
      for (int i = 0; i < steps; i++) {
        long start = System.nanoTime();
        try (MemoryTrace trace = i == steps - 1 ? new MemoryTrace(json.putArray("memory")) : null) {
          losses.add(training.step());
        }
        seconds.add((System.nanoTime() - start) / 1e9);
      }
      json.put("tensorBytes", run.peakBytes());
      json.put("peakBytes", ProcessMemory.peak().orElse(0) - before);
    }
    System.out.println(json);
  }

  private static MadeUpTraining.Manner manner(Set<String> options) {
    Set<String> known = Set.of("--bf16", "--checkpointing", "--8bit", "--fused-backward");
    if (!known.containsAll(options)) {
      throw new IllegalArgumentException("options are " + known + ", found " + options);
    }
    return new MadeUpTraining.Manner(
        options.contains("--bf16") ? DType.BF16 : DType.F32,
        new MemoryConfig(
            options.contains("--checkpointing") ? Checkpointing.TRUE : Checkpointing.FALSE,
            options.contains("--8bit"),
            options.contains("--fused-backward")));
  }

  /** A UNet's settings. */
  static UNetConfig config(Path file) throws IOException {
    return UNetConfig.of(new ObjectMapper().readTree(file.toFile()), file.toString());
  }
}
