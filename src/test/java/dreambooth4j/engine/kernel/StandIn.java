package dreambooth4j.engine.kernel;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.javacpp.BytePointer;

/**
 * A CUDA device that computes nothing, under libtorch's GPU part: {@code native/host/standin},
 * compiled by g++. It must be loaded before libtorch is.
 */
public final class StandIn {
  /** CUDA's libraries in an order in which each finds those that it wants. */
  private static final List<String> LIBRARIES =
      List.of(
          "libcuda.so.1",
          "libcublasLt.so.13",
          "libcublas.so.13",
          "libcudnn.so.9",
          "libcudnn_graph.so.9",
          "libcudnn_ops.so.9",
          "libcudnn_cnn.so.9",
          "libcudnn_adv.so.9",
          "libcufft.so.12",
          "libcufile.so.0",
          "libcupti.so.13",
          "libcurand.so.10",
          "libcusolver.so.12",
          "libcusolverMg.so.12",
          "libcusparse.so.12",
          "libnccl.so.2",
          "libnvrtc.so.13");

  private static final String GPU_PART = "/org/bytedeco/pytorch/linux-x86_64-gpu/libtorch_cuda.so";
  private static final long MOST_BYTES = 16 << 20;

  private static boolean loaded;

  private StandIn() {}

  /**
   * What happened since {@link #forget}.
   *
   * @param nodes of the last graph that was captured, in order, each with its kind: kernel,
   *     product, convolution, copy or fill
   * @param beside those of them that may run at once with earlier ones: with how many, and the node
   * @param astray work that was launched beside a capture, which no replay repeats
   * @param violations what a stream may not do while it captures, and launches that no device takes
   */
  public record Report(
      List<String> nodes, List<String> beside, List<String> astray, List<String> violations) {}

  /** Whether libtorch is the one for GPUs here, and there is a compiler. */
  public static boolean available() {
    return StandIn.class.getResource(GPU_PART) != null && Emulator.available();
  }

  /** Compiles and loads it, if that has not been done in this JVM. */
  public static synchronized void load() throws IOException, InterruptedException {
    if (loaded) {
      return;
    }
    Path folder = Files.createDirectories(Path.of("target", "standin")).toAbsolutePath();
    Path all = folder.resolve("libcudart.so.13");
    List<String> command =
        new ArrayList<>(List.of("g++", "-std=c++20", "-O1", "-fPIC", "-shared", "-w"));
    try (Stream<Path> sources = Files.list(Path.of("native", "host", "standin"))) {
      sources.map(Path::toString).filter(each -> each.endsWith(".cpp")).forEach(command::add);
    }
    command.addAll(List.of("-Wl,-soname,libcudart.so.13", "-o", all.toString()));
    Emulator.compile(command.toArray(String[]::new));
    System.load(all.toString());
    for (String name : LIBRARIES) {
      // What it stands in for is in the first: here is the name alone.
      Path library = folder.resolve(name);
      Emulator.compile(
          "g++",
          "-shared",
          "-Wl,-soname," + name,
          "-Wl,--no-as-needed",
          all.toString(),
          "-o",
          library.toString());
      System.load(library.toString());
    }
    loaded = true;
  }

  /** What happened so far. */
  public static Report report() {
    try (BytePointer text = new BytePointer(MOST_BYTES)) {
      long bytes = report(text.address(), MOST_BYTES);
      if (bytes > MOST_BYTES) {
        throw new IllegalStateException("a report of " + bytes + " bytes");
      }
      byte[] lines = new byte[(int) bytes];
      text.get(lines);
      String all = new String(lines, StandardCharsets.UTF_8);
      return new Report(
          of(all, "node "), of(all, "beside "), of(all, "astray "), of(all, "violation "));
    }
  }

  private static List<String> of(String text, String kind) {
    return text.lines()
        .filter(each -> each.startsWith(kind))
        .map(each -> each.substring(kind.length()))
        .toList();
  }

  private static native long report(long address, long capacity);

  /** Forgets what happened. */
  public static native void forget();
}
