package dreambooth4j.engine;

import dreambooth4j.Problem;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.pytorch.Context;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_cuda;
import org.jspecify.annotations.Nullable;

/** What libtorch says of itself and of the machine it runs on. */
public final class Platform {
  /** One thing in words. */
  public record Fact(String name, String value) {
    /** Asks; what fails is a fact too, and says why in one line. */
    public static Fact of(String name, Supplier<String> question) {
      try {
        return new Fact(name, question.get());
      } catch (RuntimeException | LinkageError e) {
        return new Fact(name, "not available: " + reason(e));
      }
    }
  }

  /** About what the libraries for the CPU take when they are unpacked. */
  private static final long UNPACKED_BYTES = 500_000_000;

  /** What tells OpenBLAS to take other kernels, or other sizes of blocks, than it would itself. */
  private static final List<String> KERNELS = List.of("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE");

  /** Features of processors with which oneDNN multiplies bf16 and fp16 otherwise than without. */
  private static final List<String> HALF_PRODUCTS =
      List.of("avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16", "bf16", "i8mm");

  private static final Path CPU_INFO = Path.of("/proc/cpuinfo");
  private static final Map<Class<?>, String> FAILURES = new ConcurrentHashMap<>();
  private static final Pattern VERSION = Pattern.compile("TORCH_VERSION=([^,]+)");
  private static final Pattern CUDA = Pattern.compile("USE_CUDA=([^,]+)");
  private static final Pattern BLAS = Pattern.compile("BLAS_INFO=([^,]+)");

  private Platform() {}

  /** Whether the processor says that it has one of these features, by the kernel's names. */
  public static boolean hasAny(String... features) {
    return !Collections.disjoint(cpuFeatures(), List.of(features));
  }

  /** What the processor says that it has, by the kernel's names; empty where it says nothing. */
  public static Set<String> cpuFeatures() {
    try (Stream<String> lines = Files.lines(CPU_INFO)) {
      return lines
          .filter(line -> line.startsWith("flags") || line.startsWith("Features"))
          .findFirst()
          .map(line -> Set.of(line.substring(line.indexOf(':') + 1).strip().split("\\s+")))
          .orElse(Set.of());
    } catch (IOException | UncheckedIOException e) {
      return Set.of();
    }
  }

  /** Whether the libtorch of this process is the one for GPUs, usable or not. */
  public static boolean isForGpus() {
    return found(CUDA, text(torch::show_config)).equals("1");
  }

  /**
   * Why CUDA cannot be used in this process, in a sentence; null if it can.
   *
   * @throws Problem if libtorch as a whole does not load, for then the CPU cannot be used either:
   *     the one for GPUs does not without some of CUDA's libraries
   */
  public static @Nullable String whyNoCuda() {
    load();
    if (torch.cuda_is_available()) {
      return null;
    }
    if (!isForGpus()) {
      return "this libtorch is built for the CPU only: start dreambooth with --device cuda, or with DREAMBOOTH_DEVICE=cuda in the environment, which picks the one for GPUs";
    }
    String part = failure(torch_cuda.class);
    return part.isEmpty()
        ? "libtorch finds no NVIDIA GPU or driver"
        : "libtorch's part for GPUs cannot be loaded: " + part;
  }

  /** Loads libtorch, or throws a {@link Problem}. */
  static void load() {
    String failure = failure(torch.class);
    if (!failure.isEmpty()) {
      throw notLoaded(failure);
    }
  }

  /** Why a binding's library does not load; empty if it does. Later attempts would say less. */
  private static String failure(Class<?> binding) {
    return FAILURES.computeIfAbsent(
        binding,
        each -> {
          try {
            Loader.load(each);
            return "";
          } catch (LinkageError e) {
            return reason(e);
          }
        });
  }

  /** A native library that does not load: whatever the command wanted of it cannot be had. */
  public static Problem notLoaded(String reason) {
    try {
      Path folder = Loader.getCacheDir().toPath();
      if (Files.getFileStore(folder).getUsableSpace() < UNPACKED_BYTES) {
        return notUnpacked(
            folder, reason, "DREAMBOOTH_JAVA_OPTS=-Dorg.bytedeco.javacpp.cachedir=FOLDER");
      }
    } catch (IOException e) {
      // Then the reason has to do alone.
    }
    return new Problem(
        Problem.Kind.DEVICE,
        "a library cannot be loaded: %s. Run dreambooth doctor --device cuda to see which are missing; without --device cuda and DREAMBOOTH_DEVICE=cuda none of CUDA's is needed"
            .formatted(reason));
  }

  /**
   * A native library that cannot be unpacked to the folder that it is loaded from.
   *
   * @param setting what its user sets to name another folder
   */
  public static Problem notUnpacked(Path folder, String reason, String setting) {
    return new Problem(
        Problem.Kind.FAILED,
        "native libraries cannot be unpacked to %s%s: %s. Make room there, or name another folder: %s"
            .formatted(folder, free(folder), reason, setting));
  }

  private static String free(Path folder) {
    try {
      long bytes = Files.getFileStore(folder).getUsableSpace();
      return ", where %s are free".formatted(ProcessMemory.shown(bytes));
    } catch (IOException e) {
      return "";
    }
  }

  /** What the loader said, in one line: the last cause names the library that is missing. */
  public static String reason(Throwable error) {
    Throwable last = error;
    while (last.getCause() != null) {
      last = last.getCause();
    }
    return String.valueOf(last.getMessage()).lines().findFirst().orElse("");
  }

  /** Whether CUDA's products of F32 may round their factors to TF32, cuDNN's convolutions too. */
  public static void allowTf32(boolean allowed) {
    Native.run(
        "tf32",
        () -> {
          Context context = torch.globalContext();
          context.setAllowTF32CuBLAS(allowed);
          context.setAllowTF32CuDNN(allowed);
        });
  }

  /**
   * What CUDA multiplies numbers of a type in, as {@link #allowTf32} says: TF32 may stand for F32.
   */
  public static String multipliedIn(DType dtype) {
    boolean less =
        dtype == DType.F32 && Native.call("tf32", () -> torch.globalContext().allowTF32CuDNN());
    return less ? "TF32" : dtype.toString();
  }

  /** Versions, kernels, threads, where the native libraries came from. Never fails. */
  public static List<Fact> facts() {
    List<Fact> facts = new ArrayList<>();
    facts.add(Fact.of("libtorch", Platform::libtorch));
    facts.add(new Fact("BLAS", blas()));
    facts.add(
        Fact.of("oneDNN", () -> torch.hasMKLDNN() ? text(torch::get_mkldnn_version) : "none"));
    facts.add(Fact.of("CPU kernels", () -> text(torch::get_cpu_capability)));
    facts.add(Fact.of("threads", Platform::threads));
    facts.add(Fact.of("CUDA", Platform::cuda));
    facts.add(Fact.of("natives", Platform::natives));
    return facts;
  }

  /** libtorch's version and those of its bindings. */
  public static String libtorch() {
    String failure = failure(torch.class);
    if (!failure.isEmpty()) {
      throw new IllegalStateException(failure);
    }
    return "%s (bindings %s, JavaCPP %s)"
        .formatted(
            found(VERSION, text(torch::show_config)), version("pytorch"), version("javacpp"));
  }

  private static String version(String artifact) {
    try {
      return Loader.getVersion("org.bytedeco", artifact);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The library that multiplies matrices on the CPU, its version, and the kernels that it was told
   * to take: what decides how products round. Never fails.
   */
  public static String blas() {
    return Fact.of("BLAS", Platform::products).value();
  }

  /** How the launcher is told to take what {@link #blas} said once; empty for what it has not. */
  public static String settingFor(String blas) {
    if (blas.startsWith("MKL ")) {
      return "DREAMBOOTH_BLAS=mkl";
    }
    if (!blas.startsWith("OpenBLAS ")) {
      return "";
    }
    int told = blas.indexOf(", ");
    return told < 0
        ? "DREAMBOOTH_BLAS=openblas-auto"
        : "DREAMBOOTH_BLAS=openblas" + blas.substring(told).replace(", ", " ");
  }

  /**
   * The instructions that libtorch computes with on the CPU: beside its version and {@link #blas}
   * what decides how numbers round. Never fails.
   */
  public static String instructions() {
    return Fact.of("instructions", () -> text(torch::get_cpu_capability) + halfProducts()).value();
  }

  private static String halfProducts() {
    Set<String> features = cpuFeatures();
    return HALF_PRODUCTS.stream()
        .filter(features::contains)
        .map(" "::concat)
        .collect(Collectors.joining());
  }

  private static String products() {
    if (torch.hasMKL()) {
      return "MKL";
    }
    String kind = found(BLAS, text(torch::show_config));
    if (!kind.equals("open")) {
      return kind;
    }
    if (!Threads.hasOpenBlas()) {
      return "MKL " + version("mkl");
    }
    return "OpenBLAS " + version("openblas") + told(System.getenv());
  }

  /** What an environment tells OpenBLAS, each with a comma before it. */
  static String told(Map<String, String> environment) {
    return KERNELS.stream()
        .filter(name -> !environment.getOrDefault(name, "").isEmpty())
        .map(name -> ", %s=%s".formatted(name, environment.get(name)))
        .collect(Collectors.joining());
  }

  private static String threads() {
    String environment = System.getenv("OMP_NUM_THREADS");
    return "%d of %d processors (OMP_NUM_THREADS %s; small models train on one, all update its weights)"
        .formatted(
            torch.get_num_threads(),
            Runtime.getRuntime().availableProcessors(),
            environment == null ? "is not set" : "= " + environment);
  }

  private static String cuda() {
    String why = whyNoCuda();
    return why == null
        ? torch.cuda_device_count() + " device(s)"
        : why.replaceFirst(": start .*", "");
  }

  private static String natives() {
    Map<String, String> loaded = Loader.getLoadedLibraries();
    String torchLibrary = loaded.getOrDefault("torch_cpu", "nowhere: it did not load");
    return "%s, %d libraries, libtorch from %s"
        .formatted(Loader.getPlatform(), loaded.size(), torchLibrary);
  }

  private static String found(Pattern pattern, String text) {
    Matcher matcher = pattern.matcher(text);
    return matcher.find() ? matcher.group(1).strip() : "of an unknown kind";
  }

  private static String text(Supplier<BytePointer> question) {
    return Native.call("platform", () -> question.get().getString());
  }
}
