package dreambooth4j.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/** The memory of this process, as Linux accounts for it; empty on other systems. */
public final class ProcessMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  private ProcessMemory() {}

  /** The most that was ever resident at once, in bytes. */
  public static OptionalLong peak() {
    return read("VmHWM:");
  }

  /** What is resident now, in bytes. */
  public static OptionalLong now() {
    return read("VmRSS:");
  }

  private static OptionalLong read(String key) {
    try {
      for (String line : Files.readAllLines(STATUS)) {
        if (line.startsWith(key)) {
          return OptionalLong.of(Long.parseLong(line.replaceAll("\\D", "")) * 1024);
        }
      }
    } catch (IOException e) {
      return OptionalLong.empty(); // not Linux
    }
    return OptionalLong.empty();
  }

  /** A number of bytes for people. */
  public static String shown(long bytes) {
    return bytes < 10L << 20
        ? "%.1f MB".formatted(bytes / 1e6)
        : bytes < 10_000_000_000L
            ? "%.0f MB".formatted(bytes / 1e6)
            : "%.1f GB".formatted(bytes / 1e9);
  }
}
