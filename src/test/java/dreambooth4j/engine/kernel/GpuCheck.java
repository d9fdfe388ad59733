package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.op.AttentionCheck;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/**
 * Every check on the machine's GPU, attention's engines among them: {@code bench/gpu_check} runs
 * it. Prints a line each and exits with 1 if one failed.
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
    List<AttentionCheck> attentions = AttentionCheck.onGpu();
    for (AttentionCheck check : attentions) {
      String verdict = verdict(check);
      failed += verdict.startsWith("FAILED") ? 1 : 0;
      System.out.println(verdict + "  " + check);
    }
    int all = checks.size() + attentions.size();
    System.out.printf("%d of %d hold on this GPU%n", all - failed, all);
    if (failed > 0) {
      System.exit(1);
    }
  }

  /** An engine that a GPU does not have is passed over in a run: that it says so is well. */
  private static String verdict(AttentionCheck check) {
    try {
      check.on(Tensor::cuda);
      return "ok";
    } catch (AssertionError e) {
      return "FAILED: " + e;
    } catch (RuntimeException e) {
      return "not on this GPU: " + e.getMessage();
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
