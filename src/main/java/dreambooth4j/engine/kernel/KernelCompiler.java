package dreambooth4j.engine.kernel;

import dreambooth4j.Problem;
import dreambooth4j.engine.Native;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.IntSupplier;
import java.util.function.Supplier;
import java.util.function.ToIntBiFunction;
import java.util.function.ToIntFunction;
import org.bytedeco.cuda.global.nvrtc;
import org.bytedeco.cuda.nvrtc._nvrtcProgram;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.SizeTPointer;

/** CUDA C++ to machine code by NVRTC, which needs neither a GPU nor a toolkit. */
public final class KernelCompiler {
  /**
   * Machine code for one architecture.
   *
   * @param cubin what the driver loads
   * @param log what the assembler says of each entry point: registers, shared memory, spills
   */
  @SuppressWarnings("ArrayRecordComponent") // a carrier from compiler to driver, never compared
  public record Compiled(byte[] cubin, String log) {}

  private KernelCompiler() {}

  /** NVRTC's version, such as 13.1. */
  public static String version() {
    return nvrtcCall(
        () -> {
          int[] major = new int[1];
          int[] minor = new int[1];
          check(() -> nvrtc.nvrtcVersion(major, minor));
          return major[0] + "." + minor[0];
        });
  }

  /** What a compilation for an architecture is asked for. */
  static List<String> options(int architecture) {
    return List.of(
        "--gpu-architecture=sm_" + architecture,
        "--std=c++17",
        "--generate-line-info",
        "--ptxas-options=-v");
  }

  /**
   * Compiles one file for one architecture.
   *
   * @throws IllegalStateException with the compiler's messages
   * @throws Problem when NVRTC cannot be loaded
   */
  public static Compiled compile(KernelSource source, int architecture) {
    return nvrtcCall(
        () -> {
          _nvrtcProgram program = new _nvrtcProgram();
          check(
              () ->
                  nvrtc.nvrtcCreateProgram(
                      program,
                      new BytePointer(source.text()),
                      new BytePointer(source.file()),
                      KernelSource.HEADERS.size(),
                      new PointerPointer<>(KernelSource.headers().toArray(String[]::new)),
                      new PointerPointer<>(KernelSource.HEADERS.toArray(String[]::new))));
          try {
            String[] options = options(architecture).toArray(String[]::new);
            int result =
                nvrtc.nvrtcCompileProgram(program, options.length, new PointerPointer<>(options));
            byte[] messages =
                bytes(
                    size -> nvrtc.nvrtcGetProgramLogSize(program, size),
                    program,
                    nvrtc::nvrtcGetProgramLog);
            // Its last byte is the zero that ends a text in C.
            String log = new String(messages, 0, messages.length - 1, StandardCharsets.UTF_8);
            if (result != nvrtc.NVRTC_SUCCESS) {
              throw new IllegalStateException(source.file() + " does not compile:\n" + log);
            }
            return new Compiled(
                bytes(
                    size -> nvrtc.nvrtcGetCUBINSize(program, size), program, nvrtc::nvrtcGetCUBIN),
                log);
          } finally {
            check(() -> nvrtc.nvrtcDestroyProgram(program));
          }
        });
  }

  private static byte[] bytes(
      ToIntFunction<SizeTPointer> size,
      _nvrtcProgram program,
      ToIntBiFunction<_nvrtcProgram, byte[]> get) {
    SizeTPointer length = new SizeTPointer(1);
    check(() -> size.applyAsInt(length));
    byte[] bytes = new byte[Math.toIntExact(length.get())];
    check(() -> get.applyAsInt(program, bytes));
    return bytes;
  }

  private static <T> T nvrtcCall(Supplier<T> body) {
    try {
      return Native.call("nvrtc", body);
    } catch (LinkageError e) {
      throw new Problem(
          Problem.Kind.DEVICE,
          "the CUDA compiler NVRTC did not load ("
              + String.valueOf(e.getMessage()).lines().findFirst().orElse("")
              + "): it comes with a CUDA 13 toolkit, with Python's nvidia-cuda-nvrtc package, or with"
              + " the jar org.bytedeco:cuda-redist; DREAMBOOTH4J_KERNELS=off in the environment does"
              + " without",
          e);
    }
  }

  private static void check(IntSupplier call) {
    int result = call.getAsInt();
    if (result != nvrtc.NVRTC_SUCCESS) {
      throw new IllegalStateException("nvrtc: " + nvrtc.nvrtcGetErrorString(result).getString());
    }
  }
}
