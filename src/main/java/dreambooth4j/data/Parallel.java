package dreambooth4j.data;

import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;

/**
 * Looks at many files at once, with as many threads as there are processors. Results and problems
 * come in the order of the input, so that a second run says the same.
 */
public final class Parallel {
  /** Files a task: enough to make the hand-over cheap, few enough to keep all threads busy. */
  private static final int AT_ONCE = 64;

  private Parallel() {}

  /** What {@code work} makes of each input; fails as it failed for the first that it failed for. */
  public static <A, B> List<B> map(List<A> inputs, Function<A, B> work) {
    return map(inputs, AT_ONCE, work);
  }

  /** As {@link #map(List, Function)}, in tasks of so many inputs: fewer for longer work. */
  public static <A, B> List<B> map(List<A> inputs, int atOnce, Function<A, B> work) {
    if (inputs.size() <= atOnce) {
      return inputs.stream().map(work).toList();
    }
    List<Callable<List<B>>> tasks = new ArrayList<>();
    for (int from = 0; from < inputs.size(); from += atOnce) {
      List<A> some = inputs.subList(from, Math.min(inputs.size(), from + atOnce));
      tasks.add(() -> some.stream().map(work).toList());
    }
    ExecutorService threads =
        Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
    try {
      List<B> results = new ArrayList<>(inputs.size());
      for (Future<List<B>> task : threads.invokeAll(tasks)) {
        results.addAll(task.get());
      }
      return results;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Problem(Problem.Kind.FAILED, "interrupted while looking through the pictures", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException failure) {
        throw failure;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      threads.shutdownNow();
    }
  }
}
