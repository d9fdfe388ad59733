package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.Config;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.kernel.Recorder;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * {@link TrainingStep} as recordings, one for each shape of a batch: the first batch of a shape
 * runs as it is, which also makes what must not come about in a recording (libraries' workspaces,
 * compiled kernels, convolution plans); the second is recorded; it and all later ones are replayed.
 * Where a recording fails, steps go on without.
 */
public final class CapturedStep implements AutoCloseable {
  /** A shape's replay, null until it is recorded. */
  private final Map<BatchPlaces, @Nullable Runnable> replays = new HashMap<>();

  private final TrainingStep step;
  private final Recorder recorder;
  private final boolean required;
  private final Consumer<String> notes;
  private boolean failed;

  /**
   * Nothing is recorded yet.
   *
   * @param step whole steps of it are recorded, on what lies in their places
   * @param recorder is closed with this
   * @param required whether a recording that fails is a {@link Problem}; otherwise it is a note
   */
  CapturedStep(TrainingStep step, Recorder recorder, boolean required, Consumer<String> notes) {
    this.step = step;
    this.recorder = recorder;
    this.required = required;
    this.notes = notes;
  }

  /**
   * Why the steps of a run cannot be recorded; null if they can.
   *
   * @param ranks how many train together
   * @param kernels whether our kernels are launched there
   */
  static @Nullable String refusal(Config config, Device device, int ranks, boolean kernels) {
    if (device != Device.CUDA) {
      return "the run is on the CPU";
    }
    if (ranks > 1) {
      return "gradients are added over %d ranks, with the host's help".formatted(ranks);
    }
    if (!kernels) {
      return "our kernels are off (DREAMBOOTH4J_KERNELS)";
    }
    if (config.training().gradientAccumulationSteps() > 1) {
      return "with gradient_accumulation_steps above 1 a step is several batches, each of which may have another shape";
    }
    if (config.promptsLearn()) {
      return "with train_text_encoder or placeholder_token libtorch's backward of the embeddings may wait for the host";
    }
    if (config.noise().multiresIterations() > 0) {
      return "with multires_noise_iterations the host draws the sizes of the levels";
    }
    String rule = config.optimizer().name().label();
    if (!UpdateRules.withKernels().contains(rule)) {
      return "optimizer: " + rule + " is computed by libtorch's ops, with the host's help";
    }
    if (config.memory().fusedBackwardPass()) {
      return "with fused_backward_pass the host hands on each gradient as it arrives";
    }
    return null;
  }

  /** Whether to record, of a run where {@code refusal} speaks against it or, null, nothing does. */
  static boolean wanted(CudaGraph key, @Nullable String refusal, Consumer<String> notes) {
    if (key == CudaGraph.FALSE) {
      return false;
    }
    if (refusal != null && key == CudaGraph.TRUE) {
      throw Problem.usage(
          "cuda_graph: true: %s. Set cuda_graph: auto, or change that key".formatted(refusal));
    }
    if (refusal != null) {
      notes.accept("cuda_graph: steps are not captured: " + refusal);
    }
    return refusal == null;
  }

  /** One whole step on what lies in these places. */
  void run(BatchPlaces in) {
    boolean known = replays.containsKey(in);
    Runnable replay = replays.get(in);
    if (known && replay == null && !failed) {
      replay = record(() -> step.run(in));
    }
    replays.put(in, replay);
    if (replay == null) {
      step.run(in);
    } else {
      replay.run();
    }
  }

  private @Nullable Runnable record(Runnable work) {
    try {
      return recorder.record(work);
    } catch (RuntimeException e) {
      if (required) {
        boolean memory = e instanceof Problem p && p.kind() == Problem.Kind.MEMORY;
        throw new Problem(
            memory ? Problem.Kind.MEMORY : Problem.Kind.DEVICE,
            "cuda_graph: true: a step cannot be captured: %s. Set cuda_graph: auto"
                .formatted(e.getMessage()),
            e);
      }
      failed = true;
      notes.accept("cuda_graph: steps are not captured: " + e.getMessage());
      return null;
    } finally {
      step.recorded();
    }
  }

  /** Shapes that are replayed. */
  public long recorded() {
    return replays.values().stream().filter(Objects::nonNull).count();
  }

  @Override
  public void close() {
    recorder.close();
    replays.clear();
  }
}
