package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import java.util.List;

/**
 * Every check on the machine's GPU: {@code bench/gpu_check} runs it. Prints a line each and exits
 * with 1 if one failed.
 */
final class GpuCheck {
  private GpuCheck() {}

  public static void main(String[] arguments) {
    List<KernelCheck> checks = KernelCheck.all();
    CudaLauncher device = new CudaLauncher(KernelCache.ofUser());
    int failed = 0;
    for (KernelCheck check : checks) {
      String verdict = verdict(check, device);
      failed += verdict.equals("ok") ? 0 : 1;
      System.out.println(verdict + "  " + check);
    }
    System.out.printf("%d of %d hold on this GPU%n", checks.size() - failed, checks.size());
    if (failed > 0) {
      System.exit(1);
    }
  }

  private static String verdict(KernelCheck check, CudaLauncher device) {
    try (Arena arena = Arena.open("check")) {
      // The first copy to the device makes its context current, which the launcher needs.
      Memory memory = new Memory(arena, cpu -> cpu.cuda());
      check.on(device, memory);
      if (!memory.fencesStand()) {
        return "FAILED: wrote behind an end";
      }
      Memory again = new Memory(arena, cpu -> cpu.cuda());
      check.on(device, again);
      return memory.sameBits(again) ? "ok" : "FAILED: another run gives other bits";
    } catch (AssertionError | RuntimeException e) {
      return "FAILED: " + e;
    }
  }
}
