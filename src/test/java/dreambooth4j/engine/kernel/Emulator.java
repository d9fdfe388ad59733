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
  private final int sample;

  private static final Path FOLDER = Path.of("target", "kernels");

  private static final List<String> ENTRIES = new ArrayList<>();

  /**
   * An order of execution.
   *
   * @param backwards whether threads and blocks run in the opposite order; a kernel without races
   *     gives the same bits
   */
  Emulator(boolean backwards) {
    this(backwards, 0);
  }

  private Emulator(boolean backwards, int sample) {
    this.backwards = backwards;
    this.sample = sample;
  }

  /** Only the first, the middle and the last block of each launch: for sizes that take too long. */
  static Emulator ofSomeBlocks() {
    return new Emulator(false, 1);
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
    int status =
        Native.call(
            launch.entry(),
            () ->
                launch(
                    entry,
                    launch.gridX(),
                    launch.gridY(),
                    launch.threads(),
                    launch.sharedBytes(),
                    launch.packed().address(),
                    backwards,
                    sample));
    if (status != 0) {
      throw new AssertionError(
          launch.entry()
              + (status == 1
                  ? " reads or writes outside of a buffer"
                  : " leaves a counter behind"));
    }
  }

  private static native int launch(
      int entry,
      int gridX,
      int gridY,
      int threads,
      int sharedBytes,
      long arguments,
      boolean backwards,
      int sample);

  /**
   * Memory with so many bytes around it that no launch may touch, whole pages; 0 if there is none.
   *
   * @param sparse whether it is zero and takes memory where it is written; else all bits are set
   */
  static native long guard(long bytes, long around, boolean sparse);

  /** Gives it back, and says whether what lies beside it in its own pages is as it was. */
  static native boolean release(long data, boolean sparse);

  /** How functions err from now on: 0 not, 1 up, 2 down, 3 either; by what CUDA's may be off. */
  static native void err(int direction);
}
