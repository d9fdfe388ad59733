package dreambooth4j.cli;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/** What one run of the program has for all of its commands. */
class Invocation {
  @Option(
      names = {"-v", "--verbose"},
      scope = ScopeType.INHERIT,
      description = "Print more details of what the program does, and stack traces of errors.")
  boolean verbose;

  /** How a command that saves what it has done learns of Ctrl-C. */
  final Interrupt interrupt = new Interrupt();

  /** The one that this command belongs to. */
  static Invocation of(CommandSpec command) {
    return command.root().commandLine().getCommand();
  }
}
