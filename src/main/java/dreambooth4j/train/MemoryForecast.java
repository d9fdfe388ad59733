package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.weights.ModelFolder;
import java.util.ArrayList;
import java.util.List;

/** The memory plan of a run, and what it would be under other options. Reads no weights. */
public final class MemoryForecast {
  /** From the fastest to the smallest. */
  private static final List<MemoryConfig> OPTIONS =
      List.of(
          new MemoryConfig(Checkpointing.FALSE, false, false),
          new MemoryConfig(Checkpointing.FALSE, true, false),
          new MemoryConfig(Checkpointing.TRUE, false, false),
          new MemoryConfig(Checkpointing.TRUE, true, false),
          new MemoryConfig(Checkpointing.TRUE, true, true));

  private final ModelFolder base;
  private final Config config;
  private final MemoryPlan.Load load;
  private final long available;
  private final MemoryPlan plan;

  /** Plans a run within what this machine can give now. */
  public MemoryForecast(ModelFolder base, Config config, MemoryPlan.Load load) {
    this(base, config, load, ProcessMemory.available());
  }

  MemoryForecast(ModelFolder base, Config config, MemoryPlan.Load load, long available) {
    this.base = base;
    this.config = config;
    this.load = load;
    this.available = available;
    MemoryConfig wanted = config.memory();
    boolean auto = wanted.gradientCheckpointing() == Checkpointing.AUTO;
    MemoryPlan first = planned(auto ? wanted.with(Checkpointing.FALSE) : wanted);
    plan = auto && first.total() > available ? planned(wanted.with(Checkpointing.TRUE)) : first;
  }

  private MemoryPlan planned(MemoryConfig memory) {
    return MemoryPlan.of(base, config, memory, load);
  }

  /** What the plans are for. */
  public MemoryPlan.Load load() {
    return load;
  }

  /** The run's own plan; {@code gradient_checkpointing: auto} is decided in it. */
  public MemoryPlan plan() {
    return plan;
  }

  /** What this machine could give when the plan was made, in bytes. */
  public long available() {
    return available;
  }

  /** Plans under all options, from the fastest to the smallest. */
  public List<MemoryPlan> options() {
    return OPTIONS.stream().map(this::planned).toList();
  }

  /** Whether checkpointing was chosen here, for the run would not fit without. */
  public boolean choseCheckpointing() {
    return config.memory().gradientCheckpointing() == Checkpointing.AUTO
        && plan.memory().gradientCheckpointing() == Checkpointing.TRUE;
  }

  /** Whether the run fits into what is available. */
  public boolean fits() {
    return plan.total() <= available;
  }

  /** What to set so that it would fit, in one sentence. */
  public String waysOut() {
    List<String> ways = new ArrayList<>();
    for (MemoryPlan each : options()) {
      if (each.total() <= available && !each.memory().equals(plan.memory())) {
        ways.add("%s (%s)".formatted(named(each.memory()), ProcessMemory.shown(each.total())));
      }
    }
    return ways.isEmpty()
        ? "No memory option is enough: lower train_batch_size or resolution%s."
            .formatted(config.ema().used() ? ", or leave out use_ema" : "")
        : "It would fit with " + String.join(", or ", ways) + ".";
  }

  /** Options as they are set. */
  public static String named(MemoryConfig memory) {
    List<String> names = new ArrayList<>();
    if (memory.gradientCheckpointing() == Checkpointing.TRUE) {
      names.add("gradient_checkpointing");
    }
    if (memory.use8bitAdam()) {
      names.add("use_8bit_adam");
    }
    if (memory.fusedBackwardPass()) {
      names.add("fused_backward_pass with max_grad_norm 0");
    }
    return names.isEmpty() ? "none" : String.join(" + ", names);
  }

  /**
   * Adds to a problem of memory how much the run needs, what there was, and what would fit; another
   * stays as it is.
   */
  Problem explained(Problem outOfMemory) {
    if (outOfMemory.kind() != Problem.Kind.DEVICE) {
      return outOfMemory;
    }
    return new Problem(
        Problem.Kind.DEVICE,
        "%s. The run needs %s by its plan, and %s were available before it. %s"
            .formatted(
                String.valueOf(outOfMemory.getMessage()).replaceAll("\\.$", ""),
                ProcessMemory.shown(plan.total()),
                ProcessMemory.shown(available),
                waysOut()),
        outOfMemory);
  }
}
