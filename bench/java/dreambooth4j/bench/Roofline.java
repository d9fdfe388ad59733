package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.Conv2d;
import dreambooth4j.engine.op.Linear;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * What this machine can do at its best, measured by the same libraries that train: arithmetic by a
 * 3×3 convolution and a matrix product, memory by copies and sums. What fits into a cache moves
 * faster than what does not, so memory has a roof for each size.
 *
 * @param gflops F32, thousand millions a second
 * @param memory by size, ascending
 */
record Roofline(double gflops, List<Memory> memory) {
  /**
   * How fast tensors of so many bytes together are moved.
   *
   * @param gigabytes read and written, thousand millions a second
   */
  record Memory(long bytes, double gigabytes) {}

  /** One whose memory is as fast at any size. */
  Roofline(double gflops, double gigabytes) {
    this(gflops, List.of(new Memory(0, gigabytes)));
  }

  private static final long[] SIZES = {1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20, 1L << 30};
  private static final double MEASURED_SECONDS = 0.5;
  private static final int LEAST_TIMES = 5;

  /**
   * Few enough pixels that the convolution is a direct one, not Winograd's, whose roof is higher.
   */
  private static final int SIDE = 32;

  static Roofline measure() {
    double gflops = 0;
    for (int channels : new int[] {320, 640}) {
      gflops = Math.max(gflops, Math.max(convolution(channels), product(4 * channels)));
    }
    List<Memory> memory = new ArrayList<>();
    for (long size : SIZES) {
      memory.add(new Memory(size, Math.max(copy(size), sum(size))));
    }
    return new Roofline(gflops, memory);
  }

  private static double convolution(int channels) {
    try (Arena arena = Arena.open("roofline")) {
      Parameters parameters = new Parameters(DType.F32);
      var weight = parameters.declare("weight", channels, channels, 3, 3);
      parameters.allocate(arena, false);
      Tensor x = arena.zeros("x", DType.F32, 1, SIDE, SIDE, channels);
      double flops = 2.0 * SIDE * SIDE * channels * channels * 9;
      return flops
          / 1e9
          / shortest(arena, tape -> Conv2d.apply(tape, tape.constant(x), weight, null, 1, 1));
    }
  }

  private static double product(int channels) {
    try (Arena arena = Arena.open("roofline")) {
      Parameters parameters = new Parameters(DType.F32);
      var weight = parameters.declare("weight", channels, channels);
      parameters.allocate(arena, false);
      Tensor x = arena.zeros("x", DType.F32, channels, channels);
      double flops = 2.0 * channels * channels * channels;
      return flops
          / 1e9
          / shortest(arena, tape -> Linear.apply(tape, tape.constant(x), weight, null));
    }
  }

  private static double copy(long bytes) {
    try (Arena arena = Arena.open("roofline")) {
      Tensor from = arena.zeros("from", DType.F32, bytes / 8);
      Tensor to = arena.zeros("to", DType.F32, bytes / 8);
      return bytes / 1e9 / shortest(arena, tape -> to.copyFrom(from));
    }
  }

  private static double sum(long bytes) {
    try (Arena arena = Arena.open("roofline")) {
      Tensor a = arena.zeros("a", DType.F32, bytes / 12);
      Tensor b = arena.zeros("b", DType.F32, bytes / 12);
      return bytes
          / 1e9
          / shortest(arena, tape -> Add.apply(tape, tape.constant(a), tape.constant(b)));
    }
  }

  private static double shortest(Arena arena, Consumer<Tape> work) {
    double best = Double.MAX_VALUE;
    double all = 0;
    for (int i = 0; i < LEAST_TIMES || all < MEASURED_SECONDS; i++) {
      long start = System.nanoTime();
      try (Arena step = arena.child("step");
          Tape tape = Tape.inference(step)) {
        work.accept(tape);
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      best = Math.min(best, seconds);
      all += seconds;
    }
    return best;
  }

  /**
   * GB/s of tensors of so many bytes: the best that was seen at the size below it or larger ones.
   */
  double gigabytes(double bytes) {
    double best = 0;
    for (int i = 0; i < memory.size(); i++) {
      if (i + 1 == memory.size() || memory.get(i + 1).bytes > bytes) {
        best = Math.max(best, memory.get(i).gigabytes);
      }
    }
    return best;
  }

  /** GB/s of what no cache holds. */
  double mainMemory() {
    return memory.get(memory.size() - 1).gigabytes;
  }

  /** The most that an op of so many operations a byte can reach on so many bytes, in GFLOP/s. */
  double at(double flopsPerByte, double bytes) {
    return Math.min(gflops, gigabytes(bytes) * flopsPerByte);
  }

  ObjectNode json() {
    ObjectNode json = new ObjectMapper().createObjectNode().put("gflops", gflops);
    ArrayNode sizes = json.putArray("memory");
    for (Memory each : memory) {
      sizes.addObject().put("bytes", each.bytes).put("gigabytes", each.gigabytes);
    }
    return json;
  }

  static Roofline of(JsonNode json) {
    List<Memory> memory = new ArrayList<>();
    for (JsonNode each : json.get("memory")) {
      memory.add(new Memory(each.get("bytes").asLong(), each.get("gigabytes").asDouble()));
    }
    return new Roofline(json.get("gflops").asDouble(), memory);
  }
}
