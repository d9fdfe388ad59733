package dreambooth4j.engine.kernel;

import dreambooth4j.Sha256;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;

/**
 * Compiled kernels on disk: {@code <file>-sm_<architecture>-<hash>.cubin}, the assembler's log
 * beside it as {@code .log}. The hash is over all that decides the machine code: source, header,
 * options, NVRTC's version and the driver's. Files appear whole or not at all, so that processes
 * may share a folder.
 */
public final class KernelCache {
  private final Path folder;

  /** A cache in a folder, which is made when something is kept. */
  public KernelCache(Path folder) {
    this.folder = folder;
  }

  /** {@code $XDG_CACHE_HOME/dreambooth4j/kernels}, that variable being ~/.cache if not set. */
  public static KernelCache ofUser() {
    return new KernelCache(folderOfUser());
  }

  /** Where {@link #ofUser} keeps what was made for the user's machine. */
  static Path folderOfUser() {
    String home = System.getenv("XDG_CACHE_HOME");
    Path root =
        home == null || home.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(home);
    return root.resolve("dreambooth4j").resolve("kernels");
  }

  /**
   * Machine code, compiled if it is not here yet.
   *
   * @param architecture compute capability, as 90
   * @param driver the driver's version: its loader has the last word on machine code
   */
  public KernelCompiler.Compiled get(KernelSource source, int architecture, String driver) {
    String stem =
        source
            .file()
            .replace(".cu", "-sm_" + architecture + "-" + key(source, architecture, driver));
    Path cubin = folder.resolve(stem + ".cubin");
    Path log = folder.resolve(stem + ".log");
    try {
      if (Files.exists(cubin) && Files.exists(log)) {
        return new KernelCompiler.Compiled(Files.readAllBytes(cubin), Files.readString(log));
      }
      KernelCompiler.Compiled compiled = KernelCompiler.compile(source, architecture);
      keep(log, compiled.log().getBytes(StandardCharsets.UTF_8));
      keep(cubin, compiled.cubin());
      return compiled;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes a file that appears whole or not at all, in place of what was there. */
  static void keep(Path file, byte[] content) throws IOException {
    Path folder = Files.createDirectories(file.toAbsolutePath().getParent());
    Path staged = Files.createTempFile(folder, "staged", ".tmp");
    try {
      Files.write(staged, content);
      Files.move(staged, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(staged);
    }
  }

  private static String key(KernelSource source, int architecture, String driver) {
    List<String> parts = new ArrayList<>(List.of(source.text()));
    parts.addAll(KernelSource.headers());
    parts.addAll(KernelCompiler.options(architecture));
    parts.add(KernelCompiler.version());
    parts.add(driver);
    return Sha256.of(String.join("\0", parts)).substring(0, 16);
  }
}
