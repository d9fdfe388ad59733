package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.ComputeConfig.Target;
import dreambooth4j.config.Config;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.weights.ModelSource;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/** The memory plan of a run, and what it would be under other options. Reads no weights. */
public final class MemoryForecast {
  /** From the fastest to the smallest. */
  private static final List<MemoryConfig> OPTIONS =
      List.of(
          new MemoryConfig(Checkpointing.FALSE, false, false),
          new MemoryConfig(Checkpointing.FALSE, true, false),
          new MemoryConfig(Checkpointing.TRUE, false, false),
          new MemoryConfig(Checkpointing.TRUE, true, false),
          new MemoryConfig(Checkpointing.TRUE, true, true),
          new MemoryConfig(Checkpointing.TRUE, true, false, true, false),
          new MemoryConfig(Checkpointing.TRUE, true, true, true, false));

  private final ModelSource base;
  private final Config config;
  private final MemoryPlan.Load load;
  private final Device device;
  private final OptionalLong available;
  private final Ranks ranks;
  private final MemoryPlan plan;

  /** Plans a run within what its device can give now, if that is there. */
  public MemoryForecast(ModelSource base, Config config, MemoryPlan.Load load) {
    this(base, config, load, Ranks.alone());
  }

  /** As above, as one of these ranks: each has a GPU for itself, or a part of their machine. */
  MemoryForecast(ModelSource base, Config config, MemoryPlan.Load load, Ranks ranks) {
    this(base, config, load, device(config.compute().device()), ranks);
  }

  private MemoryForecast(
      ModelSource base, Config config, MemoryPlan.Load load, Device device, Ranks ranks) {
    this(base, config, load, device, available(device, ranks.here()), ranks);
  }

  MemoryForecast(
      ModelSource base,
      Config config,
      MemoryPlan.Load load,
      Device device,
      OptionalLong available) {
    this(base, config, load, device, available, Ranks.alone());
  }

  MemoryForecast(
      ModelSource base,
      Config config,
      MemoryPlan.Load load,
      Device device,
      OptionalLong available,
      Ranks ranks) {
    this.ranks = ranks;
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
  static Device device(Target target) {
    return switch (target) {
      case CPU -> Device.CPU;
      case CUDA -> Device.CUDA;
      case AUTO -> Platform.whyNoCuda() == null ? Device.CUDA : Device.CPU;
    };
  }

  private static OptionalLong available(Device device, int processes) {
    if (device == Device.CPU) {
      return OptionalLong.of(ProcessMemory.available() / processes);
    }
    return Platform.whyNoCuda() == null
        ? OptionalLong.of(CudaDevice.availableBytes())
        : OptionalLong.empty();
  }

  private MemoryPlan planned(MemoryConfig memory) {
    return planned(config.compute(), memory);
  }

  /** The plan of this run on its device, were it to compute so under these options. */
  public MemoryPlan planned(ComputeConfig compute, MemoryConfig memory) {
    return planned(device, compute, memory);
  }

  private MemoryPlan planned(Device on, ComputeConfig compute, MemoryConfig memory) {
    return MemoryPlan.of(base, config.with(compute).with(memory), load, on, ranks.size());
  }

  /** Whether a run of such a plan fits into what is available. */
  public boolean fits(MemoryPlan of) {
    return of.total() <= available.orElse(Long.MAX_VALUE);
  }

  /** Whether its steps fit, whatever is drawn and encoded beside them takes. */
  public boolean stepFits(MemoryPlan of) {
    return of.ofSteps() <= available.orElse(Long.MAX_VALUE);
  }

  /** The configuration of the run, as it was given. */
  public Config config() {
    return config;
  }

  /** The most sample pictures that the run draws at once. */
  public int samples() {
    return SamplePictures.most(config);
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
    return options().map(each -> planned(Device.CPU, config.compute(), each)).toList();
  }

  /** The same on a GPU in BF16, beside F32 masters or as a whole. */
  public List<MemoryPlan> optionsOnGpu(boolean fullBf16) {
    ComputeConfig compute = config.compute().inBf16(Target.CUDA, fullBf16);
    return options().map(each -> planned(Device.CUDA, compute, each)).toList();
  }

  /** Those that runs of so many ranks have, with shard_optimizer as it is set. */
  private Stream<MemoryConfig> options() {
    return OPTIONS.stream()
        .filter(each -> ranks.size() == 1 || !each.fusedBackwardPass())
        .map(each -> each.sharding(config.memory().shardOptimizer()));
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
   * Refuses a run that needs more than there is, swap included: it would be killed halfway.
   *
   * @throws Problem of kind MEMORY; of kind USAGE where it is not the device's memory
   */
  void requireRoom() {
    requireRoom(ProcessMemory::available);
  }

  /** As above, where a machine with a GPU has so many bytes of its own memory available. */
  void requireRoom(LongSupplier besideTheGpu) {
    if (plan.besideTheGpu() > 0 && ranks.isFirst()) {
      requireRoomForCheckpoints(ProcessMemory.limit(besideTheGpu.getAsLong()));
    }
    OptionalLong room =
        device == Device.CPU && available.isPresent()
            ? ProcessMemory.limit(available.getAsLong())
            : available;
    if (room.isPresent() && plan.total() > room.getAsLong()) {
      throw new Problem(
          Problem.Kind.MEMORY,
          "there is not enough memory, so the run was not started (--force starts it all the same)");
    }
  }

  private void requireRoomForCheckpoints(OptionalLong room) {
    if (room.isPresent() && plan.besideTheGpu() > room.getAsLong()) {
      throw Problem.usage(
          "shard_optimizer: to save a checkpoint rank 0 needs %s of its machine's memory, the GPU's aside, for the optimizer's states of all ranks, and %s are available: %s, or give --force for a run that may save no checkpoint"
              .formatted(
                  ProcessMemory.shown(plan.besideTheGpu()),
                  ProcessMemory.shown(room.getAsLong()),
                  fewerStates(config)));
    }
  }

  /** What to do where rank 0 has no memory for the optimizer's states of all ranks. */
  static String fewerStates(Config config) {
    boolean canBe8Bits = config.optimizer().name().fits8Bits() && !config.memory().use8bitAdam();
    return canBe8Bits
        ? "set use_8bit_adam or leave shard_optimizer out"
        : "leave shard_optimizer out";
  }

  /** The options that can be set, from the fastest to the smallest: some rule others out. */
  public List<MemoryConfig> allowed(ComputeConfig compute) {
    boolean fused =
        compute.mixedPrecision() != MixedPrecision.FP16
            && config.training().gradientAccumulationSteps() == 1;
    return options().filter(each -> fused || !each.fusedBackwardPass()).toList();
  }
}
