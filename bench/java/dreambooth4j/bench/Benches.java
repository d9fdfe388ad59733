package dreambooth4j.bench;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.engine.op.LinearBenchmark;
import dreambooth4j.engine.op.OpBenchmark;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * Runs a family of benches by JMH and leaves its JSON beside a file that says on what machine.
 * {@code -rff name} keeps them as {@code name.json} and {@code name.machine.json} in {@link
 * Machine#results}; without it they lie in {@code target/bench}, so that a quick look writes over
 * nothing that was kept.
 */
public final class Benches {
  private static final Map<String, Class<?>> FAMILIES =
      Map.of(
          "ops", OpBenchmark.class,
          "linear", LinearBenchmark.class,
          "steps", StepBenchmark.class,
          "class-images", ClassImageBenchmark.class,
          "data", DataBenchmark.class);

  private Benches() {}

  /** Arguments: the family, then JMH's own. */
  public static void main(String[] args) throws Exception {
    Class<?> family = FAMILIES.get(args[0]);
    if (family == null) {
      System.err.printf(
          "error: no benches are named '%s'; there are %s.%n",
          args[0], String.join(", ", new TreeSet<>(FAMILIES.keySet())));
      System.exit(2);
      return;
    }
    CommandLineOptions given = new CommandLineOptions(Arrays.copyOfRange(args, 1, args.length));
    if (given.shouldHelp()) {
      given.showHelp();
      return;
    }
    String name = given.getResult().hasValue() ? given.getResult().get() : args[0];
    boolean kept = given.getResult().hasValue();
    Path folder = kept ? Machine.results() : Files.createDirectories(Path.of("target", "bench"));
    Path result = folder.resolve(name + ".json");
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .parent(given)
            .include(family.getName().replace(".", "\\.") + "\\.")
            .shouldFailOnError(true)
            .resultFormat(ResultFormatType.JSON)
            .result(result.toString());
    if (args[0].equals("ops")) {
      options.param("op", ops(given));
    }
    boolean rates = args[0].equals("ops");
    Collection<RunResult> results =
        rates
            ? new Runner(options.build(), OpTable.withoutRows()).run()
            : new Runner(options.build()).run();
    if (rates) {
      OpTable.print(results);
    }
    JmhJson.shorten(result);
    ObjectNode facts = Machine.facts();
    if (args[0].equals("ops")) {
      facts.set("roofline", Roofline.measure().json());
    }
    Machine.write(folder.resolve(name + ".machine.json"), facts);
    System.out.println(result + (kept ? "" : " (-rff NAME keeps it with the results)"));
  }

  /** All, or those whose names contain what {@code -p op=} says. */
  private static String[] ops(CommandLineOptions given) {
    Collection<String> wanted = given.getParameter("op").orElse(List.of(""));
    return Arrays.stream(OpBenchmark.names(number(given, "rows", 2), number(given, "side", 256)))
        .filter(name -> wanted.stream().anyMatch(name::contains))
        .toArray(String[]::new);
  }

  private static int number(CommandLineOptions given, String name, int otherwise) {
    return given.getParameter(name).hasValue()
        ? Integer.parseInt(given.getParameter(name).get().iterator().next())
        : otherwise;
  }
}
