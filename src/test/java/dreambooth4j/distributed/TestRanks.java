package dreambooth4j.distributed;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;

/** Ranks that are threads of this process, connected by Gloo as processes are. */
public final class TestRanks {
  private TestRanks() {}

  /** Where ranks of a test meet. */
  static RankEnvironment environment(int rank, int size, int port) {
    return new RankEnvironment(rank, size, size, "127.0.0.1", port, false, "0");
  }

  static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  /** What a rank gives; where it fails, the others do not wait for it. */
  private static <T> T whole(Ranks ranks, Function<Ranks, T> body) {
    try {
      return body.apply(ranks);
    } catch (RuntimeException | Error e) {
      ranks.fail(String.valueOf(e.getMessage()));
      throw e;
    }
  }

  /** What each of so many ranks gives, in their order. */
  public static <T> List<T> each(int size, Function<Ranks, T> body)
      throws IOException, InterruptedException {
    return each(size, Heartbeats.PATIENCE, body);
  }

  /** As above; a rank that is silent for so many nanoseconds is lost. */
  static <T> List<T> each(int size, long patience, Function<Ranks, T> body)
      throws IOException, InterruptedException {
    int port = freePort();
    ExecutorService threads = Executors.newFixedThreadPool(size);
    try {
      List<Callable<T>> calls = new ArrayList<>();
      for (int i = 0; i < size; i++) {
        RankEnvironment self = environment(i, size, port);
        calls.add(
            () -> {
              try (Ranks ranks = ProcessGroups.join(self, patience)) {
                return whole(ranks, body);
              }
            });
      }
      List<T> results = new ArrayList<>();
      for (Future<T> each : threads.invokeAll(calls)) {
        results.add(each.get());
      }
      return results;
    } catch (ExecutionException e) {
      throw new AssertionError(e.getCause());
    } finally {
      threads.shutdownNow();
    }
  }
}
