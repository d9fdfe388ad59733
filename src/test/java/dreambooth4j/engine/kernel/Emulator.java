package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Native;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Launches kernels on the CPU: {@code native/cuda/*.cu} compiled by g++ under {@code
 * native/host/emulator.h}. It takes the very launches that a GPU takes.
 */
public final class Emulator implements Launcher {
  private final boolean backwards;

  private static final Path FOLDER = Path.of("target", "kernels");

  private static final List<String> ENTRIES = new ArrayList<>();

  /**
   * An order of execution.
   *
   * @param backwards whether threads and blocks run in the opposite order; a kernel without races
   *     gives the same bits
   */
  Emulator(boolean backwards) {
    this.backwards = backwards;
  }

  /** Compiles everything, if that has not been done in this JVM. */
  static synchronized void load() throws IOException, InterruptedException {
    if (!ENTRIES.isEmpty()) {
      return;
    }
    StringBuilder all = new StringBuilder("#include \"emulator.h\"\n");
    KernelSource.HEADERS.forEach(each -> all.append("#include \"%s\"\n".formatted(each)));
    List<String> thunks = new ArrayList<>();
    for (KernelSource source : KernelSource.all()) {
      String name = source.file().replace(".cu", "");
      all.append("namespace %s {\n#include \"%s\"\n}\n".formatted(name, source.file()));
      for (String entry : source.entries()) {
        ENTRIES.add(entry);
        thunks.add("ENTRY(%s::%s)".formatted(name, entry));
      }
    }
    all.append("EMULATE(").append(String.join(", ", thunks)).append(")\n");
    Path text = Files.createDirectories(FOLDER).resolve("emulated.cpp");
    Files.writeString(text, all);
    Path library = FOLDER.resolve("emulated.so").toAbsolutePath();
    compile(
        "g++",
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        "-w",
        "-Inative/host",
        "-Inative/cuda",
        text.toString(),
        "-o",
        library.toString());
    System.load(library.toString());
  }

  /** Whether there is a C++ compiler to do it with. */
  public static boolean available() {
    try {
      return new ProcessBuilder("g++", "--version").start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Runs a compiler; its messages are the error. */
  static void compile(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try (InputStream out = process.getInputStream()) {
      String messages = new String(out.readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() != 0) {
        throw new IllegalStateException(messages);
      }
    }
  }

  @Override
  public void launch(Launch launch) {
    int entry = ENTRIES.indexOf(launch.entry());
    if (entry < 0) {
      throw new IllegalStateException(launch.source().file() + " has no " + launch.entry());
    }
    Native.run(
        launch.entry(),
        () ->
            launch(
                entry,
                launch.gridX(),
                launch.gridY(),
                launch.threads(),
                launch.sharedBytes(),
                launch.packed().address(),
                backwards));
  }

  private static native int launch(
      int entry,
      int gridX,
      int gridY,
      int threads,
      int sharedBytes,
      long arguments,
      boolean backwards);
}
