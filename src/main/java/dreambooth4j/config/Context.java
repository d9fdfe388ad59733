package dreambooth4j.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What all values of one configuration share, and what is noted while they are read. */
final class Context {
  /** Whether the file is the extension's db_config.json. */
  boolean extension;

  /** Whose defaults hold for keys that nobody gives. */
  Defaults defaults = Defaults.DREAMBOOTH4J;

  /** The folder of the file, or the working folder where there is none. */
  Path folder = Path.of("").toAbsolutePath();

  /** What the output folder is called there, unless somebody says it. */
  Path outputName = Path.of("output");

  /** What is wrong, each with how to mend it: any ends the reading. */
  final List<String> errors = new ArrayList<>();

  /** What means something else here than the user may think; said at the start. */
  final List<String> remarks = new ArrayList<>();
}
