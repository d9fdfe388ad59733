package dreambooth4j.report;

import static dreambooth4j.engine.ProcessMemory.shown;

import dreambooth4j.engine.Device;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.MemoryPlan;
import dreambooth4j.train.Precision;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/** A run's memory plan in lines for people. */
public final class MemoryTable {
  private MemoryTable() {}

  /** A run that takes no more of what is available than this part of it fits with ease. */
  private static final double EASE = 0.5;

  /**
   * The plan of the run itself: in one line where it fits with ease, unless all is asked for.
   *
   * @param verbose whether all is asked for
   */
  static List<String> plan(MemoryForecast forecast, boolean verbose) {
    MemoryPlan plan = forecast.plan();
    OptionalLong available = forecast.available();
    if (!verbose
        && available.isPresent()
        && plan.total() <= EASE * available.getAsLong()
        && !forecast.choseCheckpointing()) {
      return List.of(
          line(
              "Memory: the run needs about %s of %s that are available (-v shows the plan)",
              shown(plan.total()), shown(available.getAsLong())));
    }
    MemoryPlan.Load load = forecast.load();
    List<String> lines = new ArrayList<>();
    lines.add(
        line(
            "Memory plan for %d rows of %s on %s: %s, of which at most %s in tensors; %s",
            load.rows(),
            load.bucket(),
            plan.device() == Device.CUDA ? "a GPU" : "the CPU",
            shown(plan.total()),
            shown(plan.tensors()),
            available.isPresent()
                ? "available " + shown(available.getAsLong())
                : "there is none here to compare with"));
    lines.add(
        line(
            "  %s; options: %s",
            Precision.named(plan.compute()), MemoryAdvice.named(plan.memory())));
    lines.add(
        line(
            "  trained weights %s%s%s%s, gradients %s, optimizer %s, what is frozen %s, caches %s",
            shown(plan.weights()),
            plan.masters() == 0 ? "" : " and their float32 masters " + shown(plan.masters()),
            plan.average() == 0 ? "" : " and their average " + shown(plan.average()),
            plan.anchor() == 0 ? "" : " and the base model's beside them " + shown(plan.anchor()),
            shown(plan.gradients()),
            shown(plan.optimizer()),
            shown(plan.frozen()),
            shown(plan.caches())));
    lines.add(
        line(
            "  a step's peak %s, drawing pictures beside them %s and encoding them before %s, the libraries' workspace %s",
            shown(plan.activationBytes()),
            shown(plan.pictures()),
            shown(plan.preparing()),
            shown(plan.workspace())));
    if (plan.gathered() > 0) {
      lines.add(
          line(
              "  while it saves a checkpoint rank 0 holds the optimizer's states of all ranks: %s%s",
              shown(plan.gathered()),
              plan.besideTheGpu() > 0 ? " of its machine's memory, not the GPU's" : ""));
    }
    plan.activations()
        .forEach((part, bytes) -> lines.add(line("    %-20s %s", part, shown(bytes))));
    if (forecast.choseCheckpointing()) {
      lines.add("  gradient_checkpointing is on: without it the run would not fit into memory");
    }
    if (!forecast.fits()) {
      lines.add(
          line("warning: the run does not fit into memory. %s", MemoryAdvice.waysOut(forecast)));
    }
    return lines;
  }

  /** What it would be under other options, on the CPU and on a GPU. */
  public static List<String> options(MemoryForecast forecast) {
    List<MemoryPlan> onCpu = forecast.optionsOnCpu();
    List<MemoryPlan> onGpu = forecast.optionsOnGpu(false);
    List<MemoryPlan> full = forecast.optionsOnGpu(true);
    List<String> lines = new ArrayList<>();
    lines.add("");
    lines.add(line("%10s %10s %13s  %s", "CPU", "GPU bf16", "GPU full_bf16", "options"));
    for (int i = 0; i < onCpu.size(); i++) {
      lines.add(
          line(
              "%10s %10s %13s  %s",
              shown(onCpu.get(i).total()),
              shown(onGpu.get(i).total()),
              shown(full.get(i).total()),
              MemoryAdvice.named(onCpu.get(i).memory())));
    }
    lines.add(
        "CPU: computed in %s. GPU: --mixed_precision bf16, without and with --full_bf16; a forecast, never measured: CUDA's own context comes on top."
            .formatted(Precision.named(forecast.plan().compute())));
    return lines;
  }

  private static String line(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }
}
