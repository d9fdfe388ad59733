package dreambooth4j.engine.kernel;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.Target;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.cudnn.ConvolutionCheck;
import dreambooth4j.engine.op.AttentionCheck;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.train.CapturedCheck;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Tensor;

/**
 * Every check on the machine's GPU: {@code bench/gpu_check} runs it, a process for each group, for
 * an error of CUDA can end all that comes after it in a process. Prints a line each and exits with
 * 1 if one failed.
 */
final class GpuCheck {
  /** Verdict of what a GPU's library says it does not have, which a run passes over. */
  private static final String NOT_HERE = "not on this GPU: ";

  /**
   * How libtorch, its attention kernels and cuDNN say that they do not have something. Whatever
   * else they throw, such as an invalid argument or a failed launch, is a failure of ours.
   */
  private static final Pattern NOT_SUPPORTED =
      Pattern.compile(
          "NOT_SUPPORTED|not supported|only supports|No (available kernel|valid e|execution plan)");

  /** By name; the verdict begins with ok, or says that it is {@link #NOT_HERE}. */
  private final Map<String, Supplier<String>> checks = new LinkedHashMap<>();

  private GpuCheck() {}

  /** Arguments: which of kernels, attention, convolutions and steps; all of them for none. */
  public static void main(String[] arguments) {
    try {
      Devices.choose(Target.CUDA, false);
    } catch (Problem e) {
      System.err.println("error: " + e.getMessage());
      System.exit(e.kind().exitCode());
    }
    GpuCheck all = new GpuCheck();
    List<String> groups = List.of(arguments);
    for (String group :
        groups.isEmpty() ? List.of("kernels", "attention", "convolutions", "steps") : groups) {
      all.add(group);
    }
    if (all.run() > 0) {
      System.exit(1);
    }
  }

  private void add(String group) {
    switch (group) {
      case "kernels" -> {
        CudaLauncher device = new CudaLauncher(KernelCache.ofUser());
        KernelCheck.all().forEach(each -> checks.put(each.toString(), () -> verdict(each, device)));
      }
      case "attention" ->
          AttentionCheck.onGpu()
              .forEach(each -> add(each, () -> each.replayedOn(Tensor::cuda, CudaRecorder::new)));
      case "convolutions" -> ConvolutionCheck.all().forEach(each -> add(each, each::onGpu));
      case "steps" -> {
        CapturedCheck.onGpu()
            .forEach(each -> checks.put(each.toString(), () -> "ok, " + each.on(Device.CUDA)));
        checks.put(
            "captured steps: heads as wide as Stable Diffusion's",
            () -> "ok, " + CapturedCheck.wideHeads(Device.CUDA));
        checks.put(
            "captured steps: gradients of weights on a second stream",
            () -> "ok, " + CapturedCheck.forked());
        checks.put(
            "captured steps: timesteps",
            () -> {
              CapturedCheck.timesteps(Device.CUDA);
              return "ok";
            });
        checks.put(
            "captured steps: memory",
            () -> {
              CapturedCheck.flatMemory();
              return "ok";
            });
      }
      default -> throw new IllegalArgumentException("no checks are named " + group);
    }
  }

  /** A check of what the GPU's libraries may lack. */
  private void add(Object name, Runnable check) {
    checks.put(
        name.toString(),
        () -> {
          try {
            check.run();
            return "ok";
          } catch (RuntimeException e) {
            if (!isNotSupported(e)) {
              throw e;
            }
            return NOT_HERE + e.getMessage();
          }
        });
  }

  /**
   * Whether libraries say that they do not have what was asked for: all of them, where the failure
   * has what each said as suppressed.
   */
  static boolean isNotSupported(Throwable failure) {
    if (failure.getSuppressed().length > 0) {
      return Arrays.stream(failure.getSuppressed()).allMatch(GpuCheck::isNotSupported);
    }
    String message = String.valueOf(failure.getMessage());
    return NOT_SUPPORTED.matcher(message).find() && !message.contains("CUDA error");
  }

  /** How many failed. */
  private int run() {
    int held = 0;
    int failed = 0;
    for (Map.Entry<String, Supplier<String>> check : checks.entrySet()) {
      String verdict = verdict(check.getValue());
      held += verdict.startsWith("ok") ? 1 : 0;
      failed += verdict.startsWith("FAILED") ? 1 : 0;
      System.out.println(verdict + "  " + check.getKey());
    }
    System.out.printf(
        "%d of %d hold on this GPU, %d failed, %d are not there%n",
        held, checks.size(), failed, checks.size() - held - failed);
    return failed;
  }

  private static String verdict(Supplier<String> check) {
    try {
      return check.get();
    } catch (AssertionError | RuntimeException e) {
      return "FAILED: " + e;
    }
  }

  private static String verdict(KernelCheck check, CudaLauncher device) {
    try (Arena arena = Arena.open("check")) {
      // The first copy to the device makes its context current, which the launcher needs.
      Memory memory = Memory.of(arena, cpu -> cpu.cuda());
      check.on(device, memory);
      if (!memory.fencesStand()) {
        return "FAILED: wrote behind an end";
      }
      Memory again = Memory.of(arena, cpu -> cpu.cuda());
      check.on(device, again);
      return memory.sameBits(again) ? "ok" : "FAILED: another run gives other bits";
    }
  }
}
