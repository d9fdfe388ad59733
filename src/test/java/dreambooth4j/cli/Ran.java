package dreambooth4j.cli;

import java.io.PrintWriter;
import java.io.StringWriter;

/** A command that has run in this JVM: its exit code and what it printed. */
record Ran(int exitCode, String out, String err) {
  static Ran of(String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Main.commandLine()
            .setOut(new PrintWriter(out, true))
            .setErr(new PrintWriter(err, true))
            .execute(args);
    return new Ran(code, out.toString(), err.toString());
  }
}
