package dreambooth4j.engine.kernel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The JavaCPP classes of CUDA want a {@code libcuda.so.1}: where there is no driver, an empty one.
 */
final class StubDriver {
  private static boolean loaded;

  private StubDriver() {}

  /** Loads the driver or its stand-in. */
  static synchronized void load() throws IOException, InterruptedException {
    if (loaded) {
      return;
    }
    Path stub = Files.createDirectories(Path.of("target", "kernels")).resolve("libcuda.so.1");
    Path empty = Files.writeString(stub.resolveSibling("empty.cpp"), "");
    Emulator.compile(
        "g++", "-shared", "-Wl,-soname,libcuda.so.1", empty.toString(), "-o", stub.toString());
    System.load(stub.toAbsolutePath().toString());
    loaded = true;
  }
}
