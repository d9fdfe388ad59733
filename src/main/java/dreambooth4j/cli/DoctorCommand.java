package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.engine.Platform.Fact;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.verify.CudaLibraries;
import dreambooth4j.verify.Doctor;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Says what this installation is and whether it trains. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description =
        "Shows the machine, the JVM and the libraries, and checks whether training works.",
    footer = {"", "Exits 0 if training on the device works, 4 if not."})
final class DoctorCommand implements Callable<Integer> {
  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli
  private CommandSpec spec;

  @Option(
      names = "--device",
      paramLabel = "NAME",
      defaultValue = "cpu",
      description = "Device to check: auto, cpu or cuda (${DEFAULT-VALUE} if not given).")
  @SuppressWarnings("NullAway.Init")
  private ComputeConfig.Target device;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    Invocation invocation = Invocation.of(spec);
    for (Fact each : Doctor.facts(invocation.verbose)) {
      print(out, each.name(), each.value());
    }
    Fact products = Doctor.products();
    print(out, products.name(), products.value());
    List<String> libraries = CudaLibraries.ofMachine().report();
    if (invocation.verbose || device == ComputeConfig.Target.CUDA) {
      libraries.forEach(out::println);
    } else {
      out.println(libraries.get(0) + " (-v lists them and says how to get what is missing)");
    }
    try {
      print(out, "training", "works: " + Doctor.train(Devices.choose(device, false)));
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
