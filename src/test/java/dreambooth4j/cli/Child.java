package dreambooth4j.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A command in a process of its own, for signals and limits. */
final class Child implements AutoCloseable {
  private static final List<String> OPTIONS =
      List.of(
          "-Dorg.bytedeco.javacpp.nopointergc=true",
          "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
          "-DRUST_FLAVOR=cpu",
          "-Djava.awt.headless=true",
          "-XX:-UsePerfData",
          "-Xmx512m",
          "-XX:+UseSerialGC",
          // It ends before the second compiler's code would be of use.
          "-XX:TieredStopAtLevel=1");

  /** Which library multiplies matrices: that of the tests, for bytes are compared. */
  private static final String BLAS = "org.bytedeco.openblas.load";

  /** A test that was itself started with SIGINT ignored, as by nohup, would hand that on. */
  private static final List<String> HEEDING = List.of("env", "--default-signal=INT,TERM");

  private final Process process;
  private final BufferedReader output;
  private final StringBuilder said = new StringBuilder();

  private Child(List<String> command) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("OMP_NUM_THREADS", "1");
    process = builder.start();
    output = process.inputReader(StandardCharsets.UTF_8);
  }

  /** Starts the command with a variable of the environment set. */
  static Child with(String variable, String value, List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of("env", variable + "=" + value));
    command.addAll(java(arguments));
    return new Child(command);
  }

  /** Starts the command so that what it prints to standard output is not kept anywhere. */
  static Child printingTo(Path file, List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.addAll(List.of("bash", "-c", "exec \"${@:2}\" >\"$1\"", "bash", file.toString()));
    command.addAll(java(arguments));
    return new Child(command);
  }

  /** Starts the command. */
  static Child of(List<String> arguments) throws IOException {
    return new Child(java(arguments));
  }

  /** Starts the command so that no file it writes can grow beyond so many KiB. */
  static Child withFilesUpTo(int kibibytes, List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.addAll(List.of("bash", "-c", "ulimit -f " + kibibytes + " && exec \"$@\"", "bash"));
    command.addAll(java(arguments));
    return new Child(command);
  }

  private static List<String> java(List<String> arguments) {
    List<String> command = new ArrayList<>(canHeed() ? HEEDING : List.of());
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(OPTIONS);
    if (System.getProperty(BLAS) != null) {
      command.add("-D" + BLAS + "=" + System.getProperty(BLAS));
    }
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(Main.class.getName());
    command.addAll(arguments);
    return command;
  }

  private static boolean canHeed() {
    List<String> trial = new ArrayList<>(HEEDING);
    trial.add("true");
    try {
      return new ProcessBuilder(trial).redirectErrorStream(true).start().waitFor() == 0;
    } catch (IOException | InterruptedException e) {
      return false;
    }
  }

  /** Reads on until it has said this. */
  Child waitFor(String text) throws IOException {
    while (!said.toString().contains(text)) {
      String line = output.readLine();
      if (line == null) {
        throw new AssertionError("it ended before it said '" + text + "':\n" + said);
      }
      said.append(line).append('\n');
    }
    return this;
  }

  /** Sends a signal, such as INT. */
  Child signal(String name) throws IOException, InterruptedException {
    new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor();
    return this;
  }

  /** Reads on to its line of this number, counted from 0; null if it has not so many. */
  @Nullable String line(int number) throws IOException {
    String line = output.readLine();
    for (int i = 0; i < number && line != null; i++) {
      line = output.readLine();
    }
    return line;
  }

  /** The processes that it has started. */
  Stream<ProcessHandle> children() {
    return process.children();
  }

  /** Ends it as kill -9 does; whether it had not ended before. */
  boolean kill() throws InterruptedException {
    return process.destroyForcibly().waitFor() == 128 + 9;
  }

  /** Waits for its end; the exit code. */
  int exitCode() throws IOException, InterruptedException {
    for (String line = output.readLine(); line != null; line = output.readLine()) {
      said.append(line).append('\n');
    }
    if (!process.waitFor(1, TimeUnit.MINUTES)) {
      throw new AssertionError("it does not end:\n" + said);
    }
    return process.exitValue();
  }

  /** All that it has said so far, on both streams. */
  String said() {
    return said.toString();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
