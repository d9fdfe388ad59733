package dreambooth4j.cli;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** A command that has run in this JVM: its exit code and what it printed. */
record Ran(int exitCode, String out, String err) {
  static Ran of(List<String> args) {
    return of(args.toArray(String[]::new));
  }

  static Ran of(String... args) {
    StringWriter out = new StringWriter();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    PrintStream errors = new PrintStream(err, true, StandardCharsets.UTF_8);
    PrintStream before = System.err;
    System.setErr(errors); // where progress goes
    try {
      int code =
          Main.run(
              Main.commandLine()
                  .setOut(new PrintWriter(out, true))
                  .setErr(new PrintWriter(errors, true, StandardCharsets.UTF_8)),
              args);
      return new Ran(code, out.toString(), err.toString(StandardCharsets.UTF_8));
    } finally {
      System.setErr(before);
    }
  }
}
