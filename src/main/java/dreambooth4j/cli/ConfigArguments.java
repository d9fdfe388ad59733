package dreambooth4j.cli;

import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.distributed.Ranks;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * What every command takes that works by a configuration: the file, and, by {@link ConfigFlags} as
 * the command's {@code modelTransformer}, a flag for each key.
 */
final class ConfigArguments {
  @Parameters(
      arity = "0..1",
      paramLabel = "CONFIG",
      description = "The configuration: a YAML or JSON file.")
  @Nullable Path config;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec(Spec.Target.MIXEE)
  CommandSpec command;

  /**
   * Reads it, and says on standard error what has no effect or means something else here; of
   * several ranks the first alone says it.
   */
  Config read() {
    return reading().config();
  }

  /** As {@link #read}, with where each value comes from. */
  ConfigReader.Reading reading() {
    ConfigReader.Reading reading = ConfigReader.read(config, ConfigFlags.given(command));
    PrintWriter err = command.commandLine().getErr();
    Invocation invocation = Invocation.of(command);
    if (Ranks.reports(System.getenv())) {
      reading.notes(invocation.verbose).forEach(err::println);
      err.flush();
    }
    return reading;
  }
}
