package dreambooth4j.verify;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.management.OperatingSystemMXBean;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.Platform.Fact;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.ProductTrial;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.train.MadeUpTraining;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** What this installation is, and whether it trains. */
public final class Doctor {
  /** The launcher says by these what it tried, and which variables it left out. */
  private static final String TRIAL = "dreambooth.products";

  private static final String UNSET = "dreambooth.unset";

  private static final Path CPU_INFO = Path.of("/proc/cpuinfo");
  private static final int STEPS = 10;
  private static final int PATIENCE_SECONDS = 10;

  /** What libtorch's kernels look for. */
  private static final List<String> FEATURES =
      List.of(
          "avx",
          "avx2",
          "fma",
          "f16c",
          "avx512f",
          "avx512_vnni",
          "avx512_bf16",
          "amx_bf16",
          "asimd",
          "sve",
          "bf16");

  private Doctor() {}

  /**
   * The machine, the JVM, the libraries. Never fails: what cannot be found out says so.
   *
   * @param all whether the libraries are listed, rather than counted
   */
  public static List<Fact> facts(boolean all) {
    List<Fact> facts = new ArrayList<>();
    facts.add(Fact.of("Java", Doctor::java));
    facts.add(Fact.of("system", Doctor::system));
    facts.add(Fact.of("memory", Doctor::memory));
    facts.add(Fact.of("CPU", () -> cpu("model name", "Model")));
    facts.add(Fact.of("CPU features", Doctor::features));
    facts.add(Fact.of("GPU", Doctor::gpu));
    facts.addAll(Platform.facts());
    facts.add(Fact.of("libraries", () -> libraries(all)));
    return facts;
  }

  /**
   * Trains a small random UNet for a few steps.
   *
   * @return what was seen, in words
   * @throws RuntimeException or a {@link LinkageError} when it does not train
   */
  public static String train(Device device) {
    long start = System.nanoTime();
    try (Arena run = Arena.open("doctor", OpBackend.on(device))) {
      MadeUpTraining training =
          new MadeUpTraining(run, smallUNet(), new MadeUpTraining.Sizes(1, 8, 7));
      double first = training.step();
      double last = first;
      for (int i = 1; i < STEPS; i++) {
        last = training.step();
      }
      if (!(last < first)) {
        throw new IllegalStateException(
            "the loss did not fall: %.4f at first, %.4f after %d steps"
                .formatted(first, last, STEPS));
      }
      return String.format(
          Locale.ROOT,
          "%d steps of a small UNet on %s in %.1f s, loss %.3f to %.3f",
          STEPS,
          device == Device.CPU ? "the CPU" : device,
          (System.nanoTime() - start) / 1e9,
          first,
          last);
    }
  }

  /** Two levels of Stable Diffusion's UNet, narrow. */
  private static UNetConfig smallUNet() {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.putArray("block_out_channels").add(32).add(64);
    json.putArray("down_block_types").add("CrossAttnDownBlock2D").add("DownBlock2D");
    json.putArray("up_block_types").add("UpBlock2D").add("CrossAttnUpBlock2D");
    json.put("layers_per_block", 1).put("attention_head_dim", 4).put("cross_attention_dim", 32);
    return UNetConfig.of(json, "the doctor's UNet");
  }

  private static String java() {
    return "%s, %s %s, heap up to %s, at %s"
        .formatted(
            Runtime.version(),
            System.getProperty("java.vendor"),
            System.getProperty("java.vm.name"),
            gigabytes(Runtime.getRuntime().maxMemory()),
            System.getProperty("java.home"));
  }

  private static String system() {
    return "%s %s %s"
        .formatted(
            System.getProperty("os.name"),
            System.getProperty("os.version"),
            System.getProperty("os.arch"));
  }

  private static String memory() {
    var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    return gigabytes(system.getTotalMemorySize())
        + ", available "
        + gigabytes(ProcessMemory.available());
  }

  private static String gigabytes(long bytes) {
    return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
  }

  /** The value of the first line of cpuinfo that has one of these keys. */
  private static String cpu(String... keys) {
    try {
      for (String line : Files.readAllLines(CPU_INFO)) {
        int colon = line.indexOf(':');
        if (colon > 0 && Arrays.asList(keys).contains(line.substring(0, colon).strip())) {
          return line.substring(colon + 1).strip();
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(CPU_INFO + " cannot be read", e);
    }
    return "not named by " + CPU_INFO;
  }

  private static String features() {
    Set<String> all = Platform.cpuFeatures();
    String known = FEATURES.stream().filter(all::contains).collect(Collectors.joining(" "));
    return known.isEmpty() ? "none that libtorch makes use of" : known;
  }

  /**
   * How fast matrices are multiplied, and what the launcher's trial found of other libraries.
   * Measures it, which takes some seconds.
   */
  public static Fact products() {
    return Fact.of("products", Doctor::measuredProducts);
  }

  private static String measuredProducts() {
    double exact = ProductTrial.gigaflops(DType.F32);
    double half = ProductTrial.gigaflops(DType.BF16);
    String trial = System.getProperty(TRIAL, "");
    String unset = System.getProperty(UNSET, "");
    return String.format(
        Locale.ROOT,
        "%.0f GFLOP/s of a core in float32, %.0f in bf16%s%s",
        exact,
        half,
        trial.isEmpty() ? "" : "; the launcher's trial: " + trial,
        unset.isEmpty() ? "" : notUsed(unset));
  }

  private static String notUsed(String set) {
    String names =
        Arrays.stream(set.split(" "))
            .map(each -> each.replaceAll("=.*", ""))
            .collect(Collectors.joining(" "));
    return "; %s is set and would slow it down, so it is not used here: unset %s"
        .formatted(set, names);
  }

  /** What the driver's own tool says: it is there wherever the driver is. */
  private static String gpu() {
    try {
      Process tool =
          new ProcessBuilder(
                  "nvidia-smi",
                  "--query-gpu=name,memory.total,driver_version",
                  "--format=csv,noheader")
              .redirectErrorStream(true)
              .start();
      if (!tool.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        tool.destroyForcibly();
        return "nvidia-smi does not answer";
      }
      String said = new String(tool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      return said.strip().lines().collect(Collectors.joining("; "));
    } catch (IOException e) {
      return "none found (there is no nvidia-smi)";
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "not asked";
    }
  }

  /** The jars of the classpath, whose names say their versions. */
  private static String libraries(boolean listed) {
    List<String> jars = jars();
    return listed ? String.join(" ", jars) : jars.size() + " jars (-v lists them)";
  }

  private static List<String> jars() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(entry -> String.valueOf(Path.of(entry).getFileName()))
        .filter(name -> name.endsWith(".jar"))
        .map(name -> name.substring(0, name.length() - 4))
        .toList();
  }
}
