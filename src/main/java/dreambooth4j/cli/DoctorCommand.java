package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.engine.Platform.Fact;
import dreambooth4j.verify.Doctor;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Says what this installation is and whether it trains. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = "Says what machine, JVM and libraries there are, and whether training works.",
    footer = {"", "Exits 0 if training on the CPU works, 4 if not. A GPU may be missing."})
final class DoctorCommand implements Callable<Integer> {
  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli
  private CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    for (Fact each : Doctor.facts()) {
      print(out, each.name(), each.value());
    }
    try {
      print(out, "training", "works: " + Doctor.train());
      return 0;
    } catch (RuntimeException | LinkageError e) {
      print(out, "training", "DOES NOT WORK");
      throw new Problem(Problem.Kind.DEVICE, "training does not work here: " + e.getMessage(), e);
    }
  }

  private static void print(PrintWriter out, String name, String value) {
    out.printf("%-13s %s%n", name, value);
    out.flush();
  }
}
