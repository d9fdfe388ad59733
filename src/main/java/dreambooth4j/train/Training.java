package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.UNet;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.Group;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A training put together: model, objective, optimizer, averages and step, once, for every caller:
 * the trainer, the memory plan (in a dry arena), verify, doctor and the benches.
 */
public final class Training implements AutoCloseable {
  /** A text encoder that trains. */
  @FunctionalInterface
  public interface Encoder {
    /** What the UNet is told, of {@link Conditioning#TOKENS}, on the tape. */
    Conditioning<Var> encode(Tape tape, Conditioning<Tensor> tokens);
  }

  /**
   * What learns.
   *
   * @param text for batches whose prompts are token ids; null where all come as hidden states
   * @param groups what the optimizer updates; allocated, with gradients
   */
  public record Model(
      UNet unet, @Nullable Encoder text, NoiseSchedule schedule, List<Parameters> groups) {
    /** A loaded model, as a run is configured; what no prompt reaches is frozen. */
    static Model of(StableDiffusion model, Config config) {
      TextEncoding how = TextEncoding.of(config.model());
      model.freezeUnused(how);
      return new Model(
          model.unet(),
          new PromptEncoder(model, how)::encode,
          NoiseSchedule.of(model.scheduler()),
          model.trained().stream().map(Group::parameters).toList());
    }

    /** What the UNet is told: as it is, or by the text encoder on this tape. */
    Conditioning<Var> prompts(Tape tape, BatchPlaces in) {
      if (!in.hasTokens) {
        return in.prompts.map((name, each) -> tape.constant(each));
      }
      if (text == null) {
        throw new IllegalStateException("tokens, but no text encoder");
      }
      return text.encode(tape, in.prompts);
    }
  }

  /**
   * What the host decides of a step.
   *
   * @param step its number, from 0
   * @param lossScale fp16's, otherwise 1
   * @param emaRate 1 − decay of the averaged weights; 0 where none are kept
   */
  public record Settings(
      long step, double learningRate, double priorLossWeight, double lossScale, double emaRate) {}

  /**
   * Mean losses: total = instance + prior loss weight × prior.
   *
   * @param prior without its weight; null where there were no prior rows
   */
  public record Losses(double total, double instance, @Nullable Double prior) {}

  /**
   * What a step computed.
   *
   * @param gradientNorm before clipping, without the loss scale; not finite where the step changed
   *     no weight
   */
  public record Result(Losses losses, double gradientNorm) {}

  private final Arena run;
  private final List<Parameters> groups;
  private final Arena places;
  private final StepScalars scalars;
  private final Optimizer optimizer;
  private final @Nullable Ema ema;
  private final TrainingStep step;
  private final Map<BatchPlaces.Shape, BatchPlaces> byShape = new HashMap<>();
  private @Nullable CapturedStep captured;

  private Training(Arena run, Model model, Recipe recipe) {
    this.run = run;
    groups = model.groups();
    places = run.child("batch places");
    scalars = new StepScalars(run);
    optimizer = recipe.updating(run, model.groups());
    ema = recipe.ema().used() ? new Ema(run, recipe.ema(), model.groups()) : null;
    step = new TrainingStep(run, model, recipe, scalars, optimizer, ema);
  }

  /** Moments, averages and fixed places are allocated in {@code run}, which may be dry. */
  public static Training assemble(Arena run, Model model, Recipe recipe) {
    return new Training(run, model, recipe);
  }

  /** What updates the weights. */
  public Optimizer optimizer() {
    return optimizer;
  }

  /** What it trains. */
  List<Parameters> groups() {
    return groups;
  }

  /** The averaged weights; null where none are kept. */
  @Nullable Ema ema() {
    return ema;
  }

  /**
   * Takes one step of these batches: their gradients are means over them.
   *
   * @param batches each made in an arena that is closed once its content lies in its places
   */
  public Result step(Settings settings, List<Function<Arena, TrainingBatch>> batches) {
    write(settings, batches.size());
    boolean hasPrior = false;
    if (captured != null) {
      BatchPlaces in = placed(batches.get(0));
      captured.run(in);
      return scalars.read(settings, in.hasPrior());
    }
    step.begin();
    for (Function<Arena, TrainingBatch> each : batches) {
      BatchPlaces in = placed(each);
      hasPrior |= in.hasPrior();
      step.forwardBackward(in);
    }
    step.update();
    return scalars.read(settings, hasPrior);
  }

  /** Says how the steps to come learn, until {@link #step} says it anew. */
  void write(Settings settings, int batches) {
    scalars.write(settings, batches);
  }

  /**
   * The gradients of a step without its update, with the settings of the last {@link #write}: to
   * look for the one that is not finite.
   */
  void gradients(List<Function<Arena, TrainingBatch>> batches) {
    step.begin();
    batches.forEach(each -> step.forwardBackward(placed(each)));
  }

  /** The forward of these batches op by op: throws at the first number that is not finite. */
  void explain(List<Function<Arena, TrainingBatch>> batches) {
    batches.forEach(each -> step.explain(placed(each)));
  }

  private BatchPlaces placed(Function<Arena, TrainingBatch> made) {
    try (Arena arena = run.child("batch")) {
      TrainingBatch batch = made.apply(arena);
      BatchPlaces in =
          byShape.computeIfAbsent(
              BatchPlaces.Shape.of(batch), shape -> new BatchPlaces(places, batch));
      in.write(batch);
      return in;
    }
  }

  /**
   * From here on whole steps of one batch are captured by this recorder, which is closed with this,
   * and replayed.
   *
   * @param required whether a capture that fails is a {@link dreambooth4j.Problem}, otherwise a
   *     note
   */
  public CapturedStep capture(Recorder recorder, boolean required, Consumer<String> notes) {
    CapturedStep made = new CapturedStep(step::run, recorder, required, notes);
    captured = made;
    return made;
  }

  /** Frees what was captured, and the places; the rest is the run's. */
  @Override
  public void close() {
    if (captured != null) {
      captured.close();
      captured = null;
    }
    byShape.clear();
    places.close();
  }
}
