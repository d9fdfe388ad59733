package dreambooth4j.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.ProcessMemory;

/** Samples what this process holds every few milliseconds, until closed. */
final class MemoryTrace implements AutoCloseable {
  private static final long EVERY_MILLIS = 5;

  private final ArrayNode samples;
  private final Arena arena;
  private final Thread thread = new Thread(this::sample, "memory trace");
  private volatile boolean closed;

  /**
   * Adds to {@code samples}, each time: seconds since now, resident bytes, bytes of the arena's
   * tree, which the thread that works there may be changing.
   */
  MemoryTrace(ArrayNode samples, Arena arena) {
    this.samples = samples;
    this.arena = arena;
    thread.start();
  }

  private void sample() {
    long start = System.nanoTime();
    while (!closed) {
      samples
          .addArray()
          .add((System.nanoTime() - start) / 1e9)
          .add(ProcessMemory.now().orElse(0))
          .add(arena.meter().liveBytes());
      try {
        Thread.sleep(EVERY_MILLIS);
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /**
   * At most so many of its samples: the least and the greatest of each of equally long stretches,
   * by the last number, so that no peak is lost.
   */
  static ArrayNode thinned(JsonNode samples, int most) {
    ArrayNode kept = JsonNodeFactory.instance.arrayNode();
    int stretches = samples.size() <= most ? samples.size() : most / 2;
    for (int i = 0; i < stretches; i++) {
      int least = (int) ((long) samples.size() * i / stretches);
      int greatest = least;
      for (int at = least; at < (long) samples.size() * (i + 1) / stretches; at++) {
        least = bytes(samples, at) < bytes(samples, least) ? at : least;
        greatest = bytes(samples, at) > bytes(samples, greatest) ? at : greatest;
      }
      kept.add(samples.get(Math.min(least, greatest)));
      if (least != greatest) {
        kept.add(samples.get(Math.max(least, greatest)));
      }
    }
    return kept;
  }

  private static long bytes(JsonNode samples, int at) {
    JsonNode sample = samples.get(at);
    return sample.get(sample.size() - 1).asLong();
  }

  @Override
  public void close() {
    closed = true;
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
