package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.ComputeConfig.FrozenType;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.ComputeConfig.Target;
import dreambooth4j.config.Config;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.weights.ModelSource;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

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

  private final ModelSource base;
  private final Config config;
  private final MemoryPlan.Load load;
  private final Device device;
  private final OptionalLong available;
  private final MemoryPlan plan;

  /** Plans a run within what its device can give now, if that is there. */
  public MemoryForecast(ModelSource base, Config config, MemoryPlan.Load load) {
    this(base, config, load, device(config.compute().device()));
  }

  private MemoryForecast(ModelSource base, Config config, MemoryPlan.Load load, Device device) {
    this(base, config, load, device, available(device));
  }

  MemoryForecast(
      ModelSource base,
      Config config,
      MemoryPlan.Load load,
      Device device,
      OptionalLong available) {
    this.base = base;
    this.config = config;
    this.load = load;
    this.device = device;
    this.available = available;
    MemoryConfig wanted = config.memory();
    boolean auto = wanted.gradientCheckpointing() == Checkpointing.AUTO;
    MemoryPlan first = planned(auto ? wanted.with(Checkpointing.FALSE) : wanted);
    // Checkpointing frees nothing of what pictures take, and without samples a run goes on.
    plan = auto && !stepFits(first) ? planned(wanted.with(Checkpointing.TRUE)) : first;
  }

  /** CUDA where it is asked for, be it here or not. */
  private static Device device(Target target) {
    return switch (target) {
      case CPU -> Device.CPU;
      case CUDA -> Device.CUDA;
      case AUTO -> Platform.whyNoCuda() == null ? Device.CUDA : Device.CPU;
    };
  }

  private static OptionalLong available(Device device) {
    if (device == Device.CPU) {
      return OptionalLong.of(ProcessMemory.available());
    }
    return Platform.whyNoCuda() == null
        ? OptionalLong.of(CudaDevice.availableBytes())
        : OptionalLong.empty();
  }

  private MemoryPlan planned(MemoryConfig memory) {
    return planned(device, config.compute(), memory);
  }

  private MemoryPlan planned(Device on, ComputeConfig compute, MemoryConfig memory) {
    return MemoryPlan.of(base, config.with(compute).with(memory), load, on);
  }

  private boolean fits(MemoryPlan of) {
    return of.total() <= available.orElse(Long.MAX_VALUE);
  }

  private boolean stepFits(MemoryPlan of) {
    return of.ofSteps() <= available.orElse(Long.MAX_VALUE);
  }

  /** What the plans are for. */
  public MemoryPlan.Load load() {
    return load;
  }

  /** The run's own plan; {@code gradient_checkpointing: auto} is decided in it. */
  public MemoryPlan plan() {
    return plan;
  }

  /** What the device could give when the plan was made, in bytes; empty where it is not here. */
  public OptionalLong available() {
    return available;
  }

  /**
   * The most bytes that tensors may take on the CPU, the workspace left out: by the same
   * measurement as the plan, so that what fits is not refused. Empty where it is unknown, and on
   * CUDA.
   */
  OptionalLong limit() {
    return device == Device.CPU
        ? ProcessMemory.limit(available.orElseThrow() - plan.workspace())
        : OptionalLong.empty();
  }

  /** Plans on the CPU, as the run computes, under all options from the fastest to the smallest. */
  public List<MemoryPlan> optionsOnCpu() {
    return OPTIONS.stream().map(each -> planned(Device.CPU, config.compute(), each)).toList();
  }

  /** The same on a GPU in BF16, beside F32 masters or as a whole. */
  public List<MemoryPlan> optionsOnGpu(boolean fullBf16) {
    ComputeConfig compute = config.compute().inBf16(Target.CUDA, fullBf16);
    return OPTIONS.stream().map(each -> planned(Device.CUDA, compute, each)).toList();
  }

  /** Whether checkpointing was chosen here, for the run would not fit without. */
  public boolean choseCheckpointing() {
    return config.memory().gradientCheckpointing() == Checkpointing.AUTO
        && plan.memory().gradientCheckpointing() == Checkpointing.TRUE;
  }

  /** Whether the run fits into what is available. */
  public boolean fits() {
    return fits(plan);
  }

  /**
   * Refuses a run that needs more than there is, swap included: it would be killed in its midst.
   *
   * @throws Problem of kind MEMORY that says what would fit
   */
  void requireRoom() {
    OptionalLong room =
        device == Device.CPU && available.isPresent()
            ? ProcessMemory.limit(available.getAsLong())
            : available;
    if (room.isPresent() && plan.total() > room.getAsLong()) {
      throw explained(
          new Problem(
              Problem.Kind.MEMORY,
              "memory does not suffice, and nothing was begun (--force begins nevertheless)"));
    }
  }

  /** What to set so that it would fit, in one sentence. */
  public String waysOut() {
    List<String> ways = new ArrayList<>();
    for (MemoryConfig each : allowed(config.compute())) {
      addWay(ways, named(each), planned(each));
    }
    if (ways.isEmpty() && config.compute().frozen() == FrozenType.FP32) {
      ComputeConfig frozen = config.compute().frozenInBf16();
      MemoryConfig least = least(frozen);
      addWay(ways, named(least) + " + frozen_dtype bf16", planned(device, frozen, least));
    }
    if (ways.isEmpty() && !config.compute().fullBf16()) {
      ComputeConfig full = config.compute().inBf16(config.compute().device(), true);
      MemoryConfig least = least(full);
      addWay(
          ways, named(least) + " + mixed_precision bf16 + full_bf16", planned(device, full, least));
    }
    if (!fits(plan) && stepFits(plan)) {
      ways.add(fewerPictures());
    }
    if (!ways.isEmpty()) {
      return "It would fit with " + String.join(", or ", ways) + ".";
    }
    MemoryConfig least = least(config.compute());
    boolean pictures = !fits(plan) && stepFits(planned(least));
    return "No memory option is enough: %s%s."
        .formatted(
            pictures
                ? "set %s, and %s".formatted(named(least), fewerPictures())
                : "lower train_batch_size or resolution",
            config.ema().used() ? ", or leave out use_ema" : "");
  }

  /** What to set where steps would fit, but not what is drawn or encoded beside them. */
  private String fewerPictures() {
    List<String> keys = new ArrayList<>();
    if (SamplePictures.most(config) > 0) {
      keys.add("fewer samples at once (num_validation_images, n_save_sample)");
    }
    if (load.drawn().count() > 0) {
      keys.add("no class images made anew (class_images_refresh_epochs 0)");
    }
    String lower = "a lower resolution";
    return keys.isEmpty() ? lower : "%s or %s".formatted(String.join(" and ", keys), lower);
  }

  /** The options that can be set, from the fastest to the smallest: some rule others out. */
  private List<MemoryConfig> allowed(ComputeConfig compute) {
    boolean fused =
        compute.mixedPrecision() != MixedPrecision.FP16
            && config.training().gradientAccumulationSteps() == 1;
    return OPTIONS.stream().filter(each -> fused || !each.fusedBackwardPass()).toList();
  }

  /** Those of them with which a run takes the least. */
  private MemoryConfig least(ComputeConfig compute) {
    List<MemoryConfig> all = allowed(compute);
    return all.get(all.size() - 1);
  }

  private void addWay(List<String> ways, String options, MemoryPlan with) {
    boolean other = !with.memory().equals(plan.memory()) || !with.compute().equals(plan.compute());
    if (fits(with) && other) {
      ways.add("%s (%s)".formatted(options, ProcessMemory.shown(with.total())));
    }
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
    if (outOfMemory.kind() != Problem.Kind.MEMORY || available.isEmpty()) {
      return outOfMemory;
    }
    return new Problem(
        Problem.Kind.MEMORY,
        "%s. The run needs %s by its plan, and %s were available before it. %s"
            .formatted(
                String.valueOf(outOfMemory.getMessage()).replaceAll("\\.$", ""),
                ProcessMemory.shown(plan.total()),
                ProcessMemory.shown(available.getAsLong()),
                waysOut()),
        outOfMemory);
  }
}
