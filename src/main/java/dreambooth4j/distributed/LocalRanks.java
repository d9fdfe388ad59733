package dreambooth4j.distributed;

import dreambooth4j.Problem;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Starts this program several times on one machine, a rank each, as torchrun does. Rank 0 speaks as
 * this process; the lines of the others begin with their rank. When one fails the others are asked
 * to end, and save first; one that is stopped, and cannot, is killed.
 */
public final class LocalRanks {
  private static final long GLANCE_MILLISECONDS = 100;

  /** So long the others may take to save after one has failed. */
  private static final long TO_END = TimeUnit.MINUTES.toNanos(10);

  private static final String GPUS = "CUDA_VISIBLE_DEVICES";
  private static final String THREADS = "OMP_NUM_THREADS";

  /** Of libtorch: c10d warns of each broken connection with a C++ trace, and we name the rank. */
  private static final String LOG_LEVEL = "TORCH_CPP_LOG_LEVEL";

  private final int count;
  private final PrintStream out;
  private final PrintStream err;
  private final List<Process> ranks = new ArrayList<>();
  private final List<Thread> readers = new ArrayList<>();

  /**
   * So many ranks.
   *
   * @param out gets what rank 0 prints to its standard output
   * @param err gets what the others say
   */
  public LocalRanks(int count, PrintStream out, PrintStream err) {
    this.count = requireCount(count);
    if (System.getenv(RankEnvironment.SIZE) != null) {
      throw Problem.usage(
          "--nproc: the environment has %s, so a launcher has started this as a rank already: leave out --nproc, or unset %s"
              .formatted(RankEnvironment.SIZE, RankEnvironment.SIZE));
    }
    this.out = out;
    this.err = err;
  }

  /**
   * A number of processes.
   *
   * @throws Problem where it is none
   */
  public static int requireCount(int count) {
    if (count < 1) {
      throw Problem.usage("--nproc is %d: give the number of processes, from 1".formatted(count));
    }
    return count;
  }

  /**
   * Runs the ranks to their end.
   *
   * @param main the class that each runs, and its arguments
   * @param stop true ends the ranks, which save first
   * @return their exit code: 0 where all have 0, otherwise rank 0's or that of the first that
   *     failed
   */
  public int run(List<String> main, BooleanSupplier stop) {
    List<String> command = command(main);
    int port = freePort();
    try {
      for (int rank = 0; rank < count; rank++) {
        ranks.add(start(rank, command, port));
      }
      return await(stop);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.FAILED, "a rank cannot be started: " + Problem.why(e), e);
    } finally {
      ranks.forEach(Process::destroyForcibly);
    }
  }

  /** The Java machine of this process with its options. */
  private static List<String> command(List<String> main) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(main);
    return command;
  }

  private static int freePort() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new Problem(Problem.Kind.FAILED, "no free port to meet at: " + Problem.why(e), e);
    }
  }

  private Process start(int rank, List<String> command, int port) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().putAll(environment(rank, count, port, System.getenv()));
    builder.redirectInput(ProcessBuilder.Redirect.INHERIT);
    if (rank == 0) {
      builder.redirectError(ProcessBuilder.Redirect.INHERIT);
    } else {
      builder.redirectErrorStream(true);
    }
    Process process = builder.start();
    PrintStream to = rank == 0 ? out : err;
    String prefix = rank == 0 ? "" : "[rank %d] ".formatted(rank);
    Thread reader = new Thread(() -> pass(process, to, prefix), "rank " + rank);
    reader.setDaemon(true);
    reader.start();
    readers.add(reader);
    return process;
  }

  /** What is set in the environment of one of so many ranks. */
  static Map<String, String> environment(int rank, int count, int port, Map<String, String> outer) {
    Map<String, String> set = new HashMap<>();
    set.put(RankEnvironment.RANK, Integer.toString(rank));
    set.put("LOCAL_RANK", Integer.toString(rank));
    set.put(RankEnvironment.SIZE, Integer.toString(count));
    set.put(RankEnvironment.HERE, Integer.toString(count));
    set.put(RankEnvironment.HOST, InetAddress.getLoopbackAddress().getHostAddress());
    set.put(RankEnvironment.PORT, Integer.toString(port));
    set.put(Launch.NPROC, Integer.toString(count));
    String gpus = outer.get(GPUS);
    String[] visible = gpus == null ? new String[0] : gpus.split(",");
    set.put(GPUS, rank < visible.length ? visible[rank] : Integer.toString(rank));
    set.put(LOG_LEVEL, outer.getOrDefault(LOG_LEVEL, "ERROR"));
    if (!outer.containsKey(THREADS)) {
      int cores = Runtime.getRuntime().availableProcessors();
      set.put(THREADS, Integer.toString(Math.max(1, cores / count)));
    }
    return set;
  }

  /** Gloo's own lines about connections, which nothing turns off, are left out. */
  private static void pass(Process process, PrintStream to, String prefix) {
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (!line.startsWith("[Gloo] ")) {
          to.println(prefix + line);
        }
      }
    } catch (IOException e) {
      // It was killed while it spoke.
    }
  }

  private int await(BooleanSupplier stop) {
    @Nullable Process failed = null;
    long until = 0;
    boolean told = false;
    while (ranks.stream().anyMatch(Process::isAlive)) {
      if (failed == null) {
        failed = ranks.stream().filter(LocalRanks::hasFailed).findFirst().orElse(null);
        until = System.nanoTime() + TO_END;
      }
      if ((failed != null || stop.getAsBoolean()) && !told) {
        // One that trains saves first, one that waits just ends; what they say is still read, which
        // Process.destroy would put an end to.
        ranks.forEach(rank -> rank.toHandle().destroy());
        told = true;
      }
      if (failed != null) {
        boolean late = System.nanoTime() > until;
        ranks.stream().filter(each -> late || isStopped(each)).forEach(Process::destroyForcibly);
      }
      pause();
    }
    readers.forEach(LocalRanks::join);
    int first = ranks.get(0).exitValue();
    return first != 0 || failed == null ? first : failed.exitValue();
  }

  private static boolean hasFailed(Process rank) {
    return !rank.isAlive() && rank.exitValue() != 0;
  }

  /** Whether a signal has stopped it, as Linux says. */
  private static boolean isStopped(Process rank) {
    Path stat = Path.of("/proc/" + rank.pid() + "/stat");
    try {
      return rank.isAlive() && Files.readString(stat).matches("(?s).*\\) T .*");
    } catch (IOException e) {
      return false; // it has just ended, or this is not Linux
    }
  }

  private static void join(Thread reader) {
    try {
      reader.join(TimeUnit.SECONDS.toMillis(5)); // what a rank has said last
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void pause() {
    try {
      Thread.sleep(GLANCE_MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
