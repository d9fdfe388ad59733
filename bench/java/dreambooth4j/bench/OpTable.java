package dreambooth4j.bench;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Collection;
import java.util.Locale;
import java.util.Set;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.format.OutputFormat;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Ops on the terminal: a row for each with its time and its rates in their own units. JMH would
 * give "ops/s" to all of them, and a rate of 0 where an op counts no arithmetic.
 */
final class OpTable {
  private static final Set<String> ROWS = Set.of("endRun", "endBenchmark", "iterationResult");

  private OpTable() {}

  /** JMH's progress without its numbers. */
  static OutputFormat withoutRows() {
    OutputFormat jmh = OutputFormatFactory.createFormatInstance(System.out, VerboseMode.NORMAL);
    return (OutputFormat)
        Proxy.newProxyInstance(
            OutputFormat.class.getClassLoader(),
            new Class<?>[] {OutputFormat.class},
            (proxy, method, arguments) -> {
              if (ROWS.contains(method.getName())) {
                jmh.println("");
                return null;
              }
              try {
                return method.invoke(jmh, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  static void print(Collection<RunResult> results) {
    System.out.printf("%n%10s %7s %9s %7s  %s%n", "ms", "± %", "GFLOP/s", "GB/s", "op");
    for (RunResult each : results) {
      Result<?> time = each.getPrimaryResult();
      double gflops = rate(each, "gflops");
      System.out.printf(
          Locale.ROOT,
          "%10.3f %7s %9s %7s  %s, %s%n",
          1e3 / time.getScore(),
          shown(100 * time.getScoreError() / time.getScore()),
          shown(gflops),
          shown(rate(each, "gigabytes")),
          each.getParams().getParam("op"),
          each.getPrimaryResult().getLabel());
    }
  }

  private static double rate(RunResult of, String name) {
    return of.getSecondaryResults().entrySet().stream()
        .filter(each -> each.getKey().endsWith(name))
        .mapToDouble(each -> each.getValue().getScore())
        .findFirst()
        .orElse(0);
  }

  private static String shown(double rate) {
    return rate > 0 ? String.format(Locale.ROOT, "%.1f", rate) : "-"; // too few runs give NaN
  }
}
