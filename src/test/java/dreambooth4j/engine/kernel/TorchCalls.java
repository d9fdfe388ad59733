package dreambooth4j.engine.kernel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.pytorch.global.torch;

/** The operators of libtorch that a piece of work calls, by {@code native/host/observer.cpp}. */
public final class TorchCalls {
  private static final long MOST_BYTES = 16 << 20;

  private static boolean loaded;

  private TorchCalls() {}

  /** Compiles the observer with g++, if that has not been done in this JVM. */
  private static synchronized void load() throws IOException, InterruptedException {
    if (loaded) {
      return;
    }
    Path libtorch = Path.of(Loader.load(torch.class)).resolveSibling("libtorch_cpu.so");
    Path library =
        Files.createDirectories(Path.of("target", "kernels"))
            .resolve("observer.so")
            .toAbsolutePath();
    Emulator.compile(
        "g++",
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        "native/host/observer.cpp",
        libtorch.toString(),
        "-o",
        library.toString());
    System.load(library.toString());
    loaded = true;
  }

  /**
   * Names such as {@code aten::mm}, in order, of those too that operators call themselves: these
   * have as many spaces before them as they are nested deep.
   */
  public static List<String> of(Runnable work) {
    try {
      load();
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
    try (BytePointer names = new BytePointer(MOST_BYTES)) {
      begin();
      long bytes;
      try {
        work.run();
      } finally {
        bytes = end(names.address(), MOST_BYTES);
      }
      if (bytes > MOST_BYTES) {
        throw new IllegalStateException("more names than " + MOST_BYTES + " bytes hold");
      }
      names.limit(bytes);
      return names.getString().lines().toList();
    }
  }

  private static native void begin();

  /** Writes the names of what was called and returns their bytes. */
  private static native long end(long address, long capacity);
}
