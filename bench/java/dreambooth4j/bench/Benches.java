package dreambooth4j.bench;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.engine.op.LinearBenchmark;
import dreambooth4j.engine.op.OpBenchmark;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * Runs a family of benches by JMH and leaves its JSON beside a file that says on what machine:
 * {@code bench/results/<family>.json} and {@code .machine.json}.
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

  /** Arguments: the family, the folder for results, then JMH's own. */
  public static void main(String[] args) throws Exception {
    Class<?> family = FAMILIES.get(args[0]);
    if (family == null) {
      throw new IllegalArgumentException(
          "no benches are named '%s'; there are %s".formatted(args[0], FAMILIES.keySet()));
    }
    CommandLineOptions given = new CommandLineOptions(Arrays.copyOfRange(args, 2, args.length));
    Path result = Path.of(args[1], args[0] + ".json");
    Files.createDirectories(result.getParent());
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .parent(given)
            .include(family.getName().replace(".", "\\.") + "\\.")
            .shouldFailOnError(true)
            .resultFormat(ResultFormatType.JSON)
            .result(result.toString());
    if (args[0].equals("ops") && !given.getParameter("op").hasValue()) {
      options.param("op", OpBenchmark.names(number(given, "rows", 2), number(given, "side", 256)));
    }
    new Runner(options.build()).run();
    ObjectNode facts = Machine.facts();
    if (args[0].equals("ops")) {
      Roofline roof = Roofline.measure();
      facts.putObject("roofline").put("gflops", roof.gflops()).put("gigabytes", roof.gigabytes());
    }
    Machine.write(Path.of(args[1], args[0] + ".machine.json"), facts);
  }

  private static int number(CommandLineOptions given, String name, int otherwise) {
    return given.getParameter(name).hasValue()
        ? Integer.parseInt(given.getParameter(name).get().iterator().next())
        : otherwise;
  }
}
