package dreambooth4j.engine;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/** The memory of this process, as Linux accounts for it; mostly empty on other systems. */
public final class ProcessMemory {
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final Path SYSTEM = Path.of("/proc/meminfo");

  /**
   * What Java's heap and the libraries still grow by beside tensors and workspace: at most; 40 to
   * 240 MB were seen, the more the larger the model.
   */
  private static final long OTHERS = 256_000_000;

  private ProcessMemory() {}

  /** The most that was ever resident at once, in bytes. */
  public static OptionalLong peak() {
    return read(STATUS, "VmHWM:");
  }

  /** What is resident now, in bytes. */
  public static OptionalLong now() {
    return read(STATUS, "VmRSS:");
  }

  /**
   * What this process could still have for tensors, in bytes: what the system can give without
   * swapping, within what its container leaves it, less what others in the process will take.
   */
  public static long available() {
    Platform.load(); // so that what libtorch itself takes is taken already
    OperatingSystemMXBean system = system();
    long free = read(SYSTEM, "MemAvailable:").orElseGet(system::getFreeMemorySize);
    // The bean's total is the container's, which this process has to itself as a rule.
    return forTensors(Math.min(free, system.getTotalMemorySize() - now().orElse(0)));
  }

  /** Of so many bytes; small systems run small models, beside which others take less. */
  static long forTensors(long room) {
    return Math.max(0, room - Math.min(OTHERS, room / 8));
  }

  /**
   * The most that tensors may take where so much is {@link #available}, swap included: who takes
   * more is killed. Empty where that is unknown.
   */
  public static OptionalLong limit(long available) {
    OptionalLong swap = read(SYSTEM, "SwapFree:");
    if (swap.isEmpty()) {
      return swap;
    }
    // The bean's swap is the container's, which may have none of the system's.
    long ours = Math.min(swap.getAsLong(), system().getFreeSwapSpaceSize());
    return OptionalLong.of(Math.max(0, available + ours));
  }

  private static OperatingSystemMXBean system() {
    return (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
  }

  private static OptionalLong read(Path file, String key) {
    try {
      for (String line : Files.readAllLines(file)) {
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
