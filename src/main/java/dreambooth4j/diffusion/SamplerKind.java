package dreambooth4j.diffusion;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The samplers there are, by the name a user gives and by the diffusers class they reproduce. */
public enum SamplerKind {
  /** Ancestral sampling of the trained chain, with fresh noise (Ho et al., 2020). */
  DDPM("ddpm", "DDPMScheduler"),
  /** Deterministic, first order (Song et al., 2021). */
  DDIM("ddim", "DDIMScheduler"),
  /** Pseudo linear multistep of order 4 (Liu et al., 2022). */
  PNDM("pndm", "PNDMScheduler"),
  /** Euler's method over the noise level (Karras et al., 2022). */
  EULER("euler", "EulerDiscreteScheduler"),
  /** Euler's method with fresh noise after each step. */
  EULER_ANCESTRAL("euler_ancestral", "EulerAncestralDiscreteScheduler"),
  /** DPM-Solver++ 2M (Lu et al., 2022). */
  DPMPP_2M("dpmpp_2m", "DPMSolverMultistepScheduler"),
  /** DPM-Solver++ 2M over the noise levels of Karras et al. */
  DPMPP_2M_KARRAS("dpmpp_2m_karras", "DPMSolverMultistepScheduler"),
  /** Predictor and corrector of order 2 (Zhao et al., 2023). */
  UNIPC("unipc", "UniPCMultistepScheduler");

  private final String label;
  private final String className;

  SamplerKind(String label, String className) {
    this.label = label;
    this.className = className;
  }

  /** The name that a user gives. */
  public String label() {
    return label;
  }

  /** The name that a user gives. */
  @Override
  public String toString() {
    return label;
  }

  /**
   * The kind with this name, or the one that reproduces the diffusers class of this name, with or
   * without "Scheduler" at its end.
   *
   * @return empty if there is none
   */
  public static Optional<SamplerKind> find(String name) {
    return first(kind -> kind.label.equals(name))
        .or(() -> first(kind -> kind.className.equals(name)))
        .or(() -> first(kind -> kind.className.equals(name + "Scheduler")));
  }

  /**
   * The kind with this name, as {@link #find} takes it.
   *
   * @throws Problem listing the names there are
   */
  public static SamplerKind named(String name) {
    return find(name)
        .orElseThrow(
            () ->
                Problem.usage("no sampler is named '%s'; there are %s".formatted(name, labels())));
  }

  private static Optional<SamplerKind> first(Predicate<SamplerKind> condition) {
    return Arrays.stream(values()).filter(condition).findFirst();
  }

  private static String labels() {
    return Arrays.stream(values()).map(SamplerKind::label).collect(Collectors.joining(", "));
  }

  /** The kind that a model's scheduler configuration asks for, or null if we have no such one. */
  private static @Nullable SamplerKind ownOf(SchedulerConfig config) {
    if (config.flag("use_karras_sigmas", false)
        && DPMPP_2M_KARRAS.className.equals(config.className())) {
      return DPMPP_2M_KARRAS;
    }
    return first(kind -> kind.className.equals(config.className())).orElse(null);
  }

  /**
   * The kind that draws with a model.
   *
   * @param chosen the kind that the user named, or null for the model's own
   * @throws Problem if none is named and we have not got the model's own
   */
  public static SamplerKind of(SchedulerConfig config, @Nullable SamplerKind chosen) {
    SamplerKind kind = chosen == null ? ownOf(config) : chosen;
    if (kind == null) {
      throw Problem.data(
          "scheduler_config.json: _class_name %s is not supported; name one of %s"
              .formatted(Printable.shortened(config.className()), labels()));
    }
    return kind;
  }

  /**
   * The sampler that diffusers' StableDiffusionPipeline would use for a model.
   *
   * @param config the model's scheduler_config.json
   * @param chosen the kind that the user named, or null for the model's own
   * @throws Problem naming what is not supported
   */
  public static Sampler forModel(SchedulerConfig config, @Nullable SamplerKind chosen) {
    SamplerKind kind = of(config, chosen);
    // The pipeline mends old configurations: it offsets steps by one and never clips latents. It
    // mends the model's own sampler, and one that takes its place gets the values that were stated.
    SchedulerConfig mended = config.with("clip_sample", false);
    if (kind == ownOf(config) || config.states("steps_offset")) {
      mended = mended.with("steps_offset", 1);
    }
    return kind.create(mended);
  }

  /**
   * A sampler of this kind with just these values, a value that is not stated being the default of
   * this kind's diffusers class; for {@code dpmpp_2m} and {@code dpmpp_2m_karras} the name decides
   * about the noise levels.
   *
   * @throws Problem naming what is not supported
   */
  public Sampler create(SchedulerConfig config) {
    config.refuse("thresholding");
    return switch (this) {
      case DDPM -> new DdpmSampler(config);
      case DDIM -> new DdimSampler(config);
      case PNDM -> new PndmSampler(config);
      case EULER -> new EulerSampler(config);
      case EULER_ANCESTRAL -> new EulerAncestralSampler(config);
      case DPMPP_2M -> new DpmSolverSampler(config.with("use_karras_sigmas", false));
      case DPMPP_2M_KARRAS -> new DpmSolverSampler(config.with("use_karras_sigmas", true));
      case UNIPC -> new UniPcSampler(config);
    };
  }
}
