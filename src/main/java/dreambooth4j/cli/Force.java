package dreambooth4j.cli;

import picocli.CommandLine.Option;

/** The flag that lets a run begin which needs more memory by its plan than there is. */
final class Force {
  @Option(
      names = "--force",
      description =
          "Begin even if the run needs more memory by its plan than there is; the operating system"
              + " may kill it halfway.")
  private boolean given;

  /** Whether it is there. */
  boolean given() {
    return given;
  }
}
