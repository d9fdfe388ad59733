package dreambooth4j.report;

import static dreambooth4j.engine.ProcessMemory.shown;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.FloatType;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.MemoryPlan;
import java.util.ArrayList;
import java.util.List;

/** What to set where a run does not fit into memory, in words. */
final class MemoryAdvice {
  /** Pixels a side of the largest pictures that are one tile. */
  private static final int LARGEST_WHOLE = 512;

  private static final String SMALLER_STEPS = "lower train_batch_size or resolution";

  private final MemoryForecast forecast;
  private final List<String> ways = new ArrayList<>();

  private MemoryAdvice(MemoryForecast forecast) {
    this.forecast = forecast;
  }

  /**
   * Adds to a problem of memory how much the run needs, what there was, and what would fit; another
   * stays as it is, and so does any where nothing is known of what is available.
   */
  static Problem explained(Problem outOfMemory, MemoryForecast forecast) {
    if (outOfMemory.kind() != Problem.Kind.MEMORY || forecast.available().isEmpty()) {
      return outOfMemory;
    }
    return new Problem(
        Problem.Kind.MEMORY,
        "%s. The run needs %s by its plan, and %s were available before it. %s"
            .formatted(
                String.valueOf(outOfMemory.getMessage()).replaceAll("\\.$", ""),
                shown(forecast.plan().total()),
                shown(forecast.available().getAsLong()),
                waysOut(forecast)),
        outOfMemory);
  }

  /** What to set so that the run would fit, in one sentence. */
  static String waysOut(MemoryForecast forecast) {
    return new MemoryAdvice(forecast).inWords();
  }

  /** Options as they are set. */
  static String named(MemoryConfig memory) {
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
    if (memory.unloadFrozen()) {
      names.add("unload_frozen");
    }
    if (memory.shardOptimizer()) {
      names.add("shard_optimizer");
    }
    return names.isEmpty() ? "none" : String.join(" + ", names);
  }

  private String inWords() {
    ComputeConfig compute = forecast.config().compute();
    for (MemoryConfig each : forecast.allowed(compute)) {
      addWay(compute, each, "");
    }
    addUnsharded(compute);
    if (ways.isEmpty() && compute.frozen() == FloatType.FP32) {
      ComputeConfig frozen = compute.frozenInBf16();
      addWay(frozen, least(frozen), " + frozen_dtype bf16");
    }
    if (ways.isEmpty() && !compute.fullBf16()) {
      ComputeConfig full = compute.inBf16(compute.device(), true);
      addWay(full, least(full), " + mixed_precision bf16 + full_bf16");
    }
    MemoryPlan own = forecast.plan();
    if (isOverBesideSteps(own) && own.pictures() > gathered(own)) {
      ways.add(fewerPictures());
    }
    if (!ways.isEmpty()) {
      return "It would fit with " + String.join(", or ", ways) + ".";
    }
    return "No memory option is enough: %s%s."
        .formatted(
            more(forecast.planned(compute, least(compute))),
            forecast.config().ema().used() ? ", or leave out use_ema" : "");
  }

  /** What to set where a run does not fit even under the options with which it takes the least. */
  private String more(MemoryPlan least) {
    if (!isOverBesideSteps(least)) {
      return SMALLER_STEPS;
    }
    if (least.pictures() > gathered(least)) {
      return "set %s, and %s".formatted(named(least.memory()), fewerPictures());
    }
    return gathered(least) == 0
        ? SMALLER_STEPS
        : "set %s, leave out shard_optimizer, and %s"
            .formatted(named(least.memory().sharding(false)), SMALLER_STEPS);
  }

  /** Whether steps of such a plan would fit, but not what is held beside them. */
  private boolean isOverBesideSteps(MemoryPlan plan) {
    return !forecast.fits() && forecast.stepFits(plan);
  }

  /** What a checkpoint gathers of the device's own memory. */
  private static long gathered(MemoryPlan plan) {
    return plan.gathered() - plan.besideTheGpu();
  }

  /** Without shard_optimizer each rank has all states, and a checkpoint gathers none beside. */
  private void addUnsharded(ComputeConfig compute) {
    MemoryPlan own = forecast.plan();
    if (gathered(own) == 0) {
      return;
    }
    MemoryPlan set = forecast.planned(compute, own.memory().sharding(false));
    MemoryPlan least = forecast.planned(compute, least(compute).sharding(false));
    if (forecast.fits(set) && set.total() < own.total()) {
      ways.add("shard_optimizer left out (%s)".formatted(shown(set.total())));
    } else if (forecast.fits(least) && ways.isEmpty()) {
      ways.add(
          "%s without shard_optimizer (%s)".formatted(named(least.memory()), shown(least.total())));
    }
  }

  /** What to set where steps would fit, but not what is drawn or encoded beside them. */
  private String fewerPictures() {
    List<String> keys = new ArrayList<>();
    if (forecast.samples() > 0) {
      boolean file = !forecast.config().samples().prompts().isEmpty();
      keys.add(
          "fewer samples at once (num_validation_images, n_save_sample)"
              + (file ? " or smaller ones (--w and --h in sample_prompts)" : ""));
    }
    if (forecast.load().drawn().count() > 0) {
      keys.add("no class images made anew (class_images_refresh_epochs 0)");
    }
    boolean tiles =
        forecast.config().data().resolution() > LARGEST_WHOLE
            && !forecast.config().samples().tiled();
    String lower = tiles ? "vae_tiling true, or a lower resolution" : "a lower resolution";
    return keys.isEmpty() ? lower : "%s or %s".formatted(String.join(" and ", keys), lower);
  }

  /** The options with which a run takes the least. */
  private MemoryConfig least(ComputeConfig compute) {
    List<MemoryConfig> all = forecast.allowed(compute);
    return all.get(all.size() - 1);
  }

  /** Adds options that are not the run's own and with which it would fit. */
  private void addWay(ComputeConfig compute, MemoryConfig memory, String more) {
    MemoryPlan own = forecast.plan();
    MemoryPlan with = forecast.planned(compute, memory);
    boolean other = !with.memory().equals(own.memory()) || !with.compute().equals(own.compute());
    if (forecast.fits(with) && other) {
      ways.add("%s (%s)".formatted(named(memory) + more, shown(with.total())));
    }
  }
}
