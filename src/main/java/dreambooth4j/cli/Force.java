package dreambooth4j.cli;

import picocli.CommandLine.Option;

/** The flag that lets a run begin which needs more memory by its plan than there is. */
final class Force {
  @Option(
      names = "--force",
      description =
          "Start even if the memory plan needs more memory than is available; the operating system"
              + " may then kill the run.")
  private boolean given;

  /** Whether it is there. */
  boolean given() {
    return given;
  }
}
