package dreambooth4j.diffusion;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The samplers there are, by the name a user gives and by the diffusers class they reproduce. */
public enum SamplerKind {
  /** Ancestral sampling of the trained chain, with fresh noise (Ho et al., 2020). */
  DDPM("ddpm", "DDPMScheduler", "DDPM"),
  /** Deterministic, first order (Song et al., 2021). */
  DDIM("ddim", "DDIMScheduler", "DDIM"),
  /** Pseudo linear multistep of order 4 (Liu et al., 2022). */
  PNDM("pndm", "PNDMScheduler", "PLMS"),
  /** Linear multistep of order 4 over the noise level. */
  LMS("lms", "LMSDiscreteScheduler", "LMS"),
  /** The same over the noise levels of Karras et al. */
  LMS_KARRAS("lms_karras", "LMSDiscreteScheduler", "LMS Karras"),
  /** Euler's method over the noise level (Karras et al., 2022). */
  EULER("euler", "EulerDiscreteScheduler", "Euler"),
  /** The same over the noise levels of Karras et al. */
  EULER_KARRAS("euler_karras", "EulerDiscreteScheduler", "Euler Karras"),
  /** Euler's method with fresh noise after each step. */
  EULER_ANCESTRAL("euler_ancestral", "EulerAncestralDiscreteScheduler", "Euler a"),
  /** Heun's method of order 2 over the noise level, which asks the network twice a step. */
  HEUN("heun", "HeunDiscreteScheduler", "Heun"),
  /** The same over the noise levels of Karras et al. */
  HEUN_KARRAS("heun_karras", "HeunDiscreteScheduler", "Heun Karras"),
  /** DPM-Solver-2, which asks the network twice a step. */
  DPM2("dpm2", "KDPM2DiscreteScheduler", "DPM2"),
  /** The same over the noise levels of Karras et al. */
  DPM2_KARRAS("dpm2_karras", "KDPM2DiscreteScheduler", "DPM2 Karras"),
  /** DPM-Solver-2 with fresh noise after each step. */
  DPM2_ANCESTRAL("dpm2_ancestral", "KDPM2AncestralDiscreteScheduler", "DPM2 a"),
  /** The same over the noise levels of Karras et al. */
  DPM2_ANCESTRAL_KARRAS(
      "dpm2_ancestral_karras", "KDPM2AncestralDiscreteScheduler", "DPM2 a Karras"),
  /** DPM-Solver++ 2M (Lu et al., 2022). */
  DPMPP_2M("dpmpp_2m", "DPMSolverMultistepScheduler", "DPM++ 2M"),
  /** DPM-Solver++ 2M over the noise levels of Karras et al. */
  DPMPP_2M_KARRAS("dpmpp_2m_karras", "DPMSolverMultistepScheduler", "DPM++ 2M Karras"),
  /** SDE-DPM-Solver++ 2M, with fresh noise. */
  DPMPP_2M_SDE("dpmpp_2m_sde", "DPMSolverMultistepScheduler", "DPM++ 2M SDE"),
  /** The same over the noise levels of Karras et al. */
  DPMPP_2M_SDE_KARRAS("dpmpp_2m_sde_karras", "DPMSolverMultistepScheduler", "DPM++ 2M SDE Karras"),
  /** DPM-Solver++ 2S, which diffusers names for A1111's DPM++ SDE. */
  DPMPP_SDE("dpmpp_sde", "DPMSolverSinglestepScheduler", "DPM++ SDE"),
  /** The same over the noise levels of Karras et al. */
  DPMPP_SDE_KARRAS("dpmpp_sde_karras", "DPMSolverSinglestepScheduler", "DPM++ SDE Karras"),
  /** Predictor and corrector of order 2 (Zhao et al., 2023). */
  UNIPC("unipc", "UniPCMultistepScheduler", "UniPC"),
  /** The same over the noise levels of Karras et al. */
  UNIPC_KARRAS("unipc_karras", "UniPCMultistepScheduler", "UniPC Karras"),
  /** DEIS of order 2 (Zhang and Chen, 2023). */
  DEIS("deis", "DEISMultistepScheduler", "DEIS"),
  /** Few steps with a model or a LoRA that was distilled to them (Luo et al., 2023). */
  LCM("lcm", "LCMScheduler", "LCM");

  /** What other programs call some of them, beside {@link #label}, class and web name. */
  private static final Map<String, SamplerKind> OTHER_NAMES =
      Map.ofEntries(
          Map.entry("plms", PNDM),
          Map.entry("euler_a", EULER_ANCESTRAL),
          Map.entry("k_euler", EULER),
          Map.entry("k_euler_a", EULER_ANCESTRAL),
          Map.entry("k_lms", LMS),
          Map.entry("dpm_2", DPM2),
          Map.entry("k_dpm_2", DPM2),
          Map.entry("dpm_2_a", DPM2_ANCESTRAL),
          Map.entry("k_dpm_2_a", DPM2_ANCESTRAL),
          Map.entry("dpmsolver++", DPMPP_2M),
          Map.entry("dpmsingle", DPMPP_SDE));

  private final String label;
  private final String className;
  private final String webName;

  SamplerKind(String label, String className, String webName) {
    this.label = label;
    this.className = className;
    this.webName = webName;
  }

  /** The class of diffusers that it reproduces. */
  public String className() {
    return className;
  }

  /** What A1111's web UI calls it. */
  public String webName() {
    return webName;
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
   * without "Scheduler" at its end, or that A1111's web UI or kohya's scripts call so.
   *
   * @return empty if there is none
   */
  public static Optional<SamplerKind> find(String name) {
    return first(kind -> kind.label.equals(name))
        .or(() -> first(kind -> kind.webName.equalsIgnoreCase(name)))
        .or(() -> Optional.ofNullable(OTHER_NAMES.get(name)))
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
    boolean sde = config.text("algorithm_type", "").equals(DpmSolverSampler.SDE);
    boolean karras = config.flag("use_karras_sigmas", false);
    SamplerKind plain =
        first(kind -> kind.className.equals(config.className()) && sde == kind.isSdeOfMultistep())
            .or(() -> first(kind -> kind.className.equals(config.className())))
            .orElse(null);
    return plain != null && karras
        ? first(kind -> kind.label.equals(plain.label + "_karras")).orElse(plain)
        : plain;
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
   * this kind's diffusers class; {@code _karras} behind a name decides about the noise levels, and
   * of {@code dpmpp_2m} the name decides about them and about fresh noise.
   *
   * @throws Problem naming what is not supported
   */
  public Sampler create(SchedulerConfig config) {
    config.refuse("thresholding");
    SchedulerConfig levels =
        label.endsWith("_karras") ? config.with("use_karras_sigmas", true) : config;
    return switch (this) {
      case DDPM -> new DdpmSampler(config);
      case DDIM -> new DdimSampler(config);
      case PNDM -> new PndmSampler(config);
      case LMS, LMS_KARRAS -> new LmsSampler(levels);
      case EULER, EULER_KARRAS -> new EulerSampler(levels);
      case EULER_ANCESTRAL -> new EulerAncestralSampler(config);
      case HEUN, HEUN_KARRAS -> new TwoStageSampler(levels, TwoStageSampler.Method.HEUN);
      case DPM2, DPM2_KARRAS -> new TwoStageSampler(levels, TwoStageSampler.Method.DPM2);
      case DPM2_ANCESTRAL, DPM2_ANCESTRAL_KARRAS ->
          new TwoStageSampler(levels, TwoStageSampler.Method.DPM2_ANCESTRAL);
      case DPMPP_2M, DPMPP_2M_KARRAS, DPMPP_2M_SDE, DPMPP_2M_SDE_KARRAS -> multistep(config);
      case DPMPP_SDE, DPMPP_SDE_KARRAS -> new DpmSingleStepSampler(levels);
      case UNIPC, UNIPC_KARRAS -> new UniPcSampler(levels);
      case DEIS -> new DeisSampler(config);
      case LCM -> new LcmSampler(config);
    };
  }

  /** DPM-Solver++ 2M, of whose four forms the name says which. */
  private Sampler multistep(SchedulerConfig config) {
    boolean sde = config.text("algorithm_type", "").equals(DpmSolverSampler.SDE);
    SchedulerConfig form = config;
    if (isSdeOfMultistep()) {
      form = form.with("algorithm_type", DpmSolverSampler.SDE);
    } else if (sde) {
      form = form.with("algorithm_type", "dpmsolver++");
    }
    return new DpmSolverSampler(form.with("use_karras_sigmas", label.endsWith("_karras")));
  }

  private boolean isSdeOfMultistep() {
    return this == DPMPP_2M_SDE || this == DPMPP_2M_SDE_KARRAS;
  }
}
