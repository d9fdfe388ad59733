package dreambooth4j.report;

import static dreambooth4j.engine.ProcessMemory.shown;

import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.MemoryPlan;
import dreambooth4j.train.MemoryPlan.Gpu;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A run's memory plan in lines for people. */
public final class MemoryTable {
  private MemoryTable() {}

  /** The plan of the run itself. */
  static List<String> plan(MemoryForecast forecast) {
    MemoryPlan plan = forecast.plan();
    MemoryPlan.Load load = forecast.load();
    List<String> lines = new ArrayList<>();
    lines.add(
        line(
            "Memory plan for %d rows of %s: %s, of which at most %s in tensors; available %s",
            load.rows(),
            load.bucket(),
            shown(plan.total()),
            shown(plan.tensors()),
            shown(forecast.available())));
    lines.add(line("  options: %s", MemoryForecast.named(plan.memory())));
    lines.add(
        line(
            "  trained weights %s%s%s, gradients %s, optimizer %s, what is frozen %s, caches %s",
            shown(plan.weights()),
            plan.masters() == 0 ? "" : " and their float32 masters " + shown(plan.masters()),
            plan.average() == 0 ? "" : " and their average " + shown(plan.average()),
            shown(plan.gradients()),
            shown(plan.optimizer()),
            shown(plan.frozen()),
            shown(plan.caches())));
    lines.add(
        line(
            "  a step's peak %s, drawing and encoding pictures %s, libtorch's workspace %s",
            shown(plan.activationBytes()), shown(plan.pictures()), shown(plan.workspace())));
    plan.activations()
        .forEach((part, bytes) -> lines.add(line("    %-20s %s", part, shown(bytes))));
    if (forecast.choseCheckpointing()) {
      lines.add("  gradient_checkpointing is on: without it the run would not fit into memory");
    }
    if (!forecast.fits()) {
      lines.add(line("warning: the run does not fit into memory. %s", forecast.waysOut()));
    }
    return lines;
  }

  /** What it would be under other options, and on a GPU. */
  public static List<String> options(MemoryForecast forecast) {
    List<String> lines = new ArrayList<>();
    lines.add("");
    lines.add(line("%10s %10s %10s  %s", "CPU", "GPU", "GPU bf16", "options"));
    for (MemoryPlan each : forecast.options()) {
      lines.add(
          line(
              "%10s %10s %10s  %s",
              shown(each.total()),
              shown(each.onGpu(Gpu.MASTERS)),
              shown(each.onGpu(Gpu.BF16_ALONE)),
              MemoryForecast.named(each.memory())));
    }
    lines.add(
        "GPU is a forecast by the same accounting, never measured: weights, gradients and activations"
            + " in bf16, beside F32 master weights (GPU) or alone (GPU bf16); CUDA's own memory and"
            + " workspaces come on top.");
    return lines;
  }

  private static String line(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }
}
