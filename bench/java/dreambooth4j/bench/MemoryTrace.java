package dreambooth4j.bench;

import com.fasterxml.jackson.databind.node.ArrayNode;
import dreambooth4j.engine.ProcessMemory;

/** Samples what is resident of this process every few milliseconds, until closed. */
final class MemoryTrace implements AutoCloseable {
  private static final long EVERY_MILLIS = 5;

  private final ArrayNode samples;
  private final Thread thread = new Thread(this::sample, "memory trace");
  private volatile boolean closed;

  /** Adds pairs of seconds since now and bytes to {@code samples}. */
  MemoryTrace(ArrayNode samples) {
    this.samples = samples;
    thread.start();
  }

  private void sample() {
    long start = System.nanoTime();
    while (!closed) {
      samples.addArray().add((System.nanoTime() - start) / 1e9).add(ProcessMemory.now().orElse(0));
      try {
        Thread.sleep(EVERY_MILLIS);
      } catch (InterruptedException e) {
        return;
      }
    }
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
