package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.Config;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.kernel.Recorder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Steps as recordings, one for each shape of a batch: the first batch of a shape runs as it is,
 * which also makes what must not come about in a recording (libraries' workspaces, compiled
 * kernels, convolution plans); the second is recorded; it and all later ones are replayed. Where a
 * recording fails, steps go on without.
 */
public final class CapturedStep implements AutoCloseable {
  /** What decides a recording: sizes, and which rows are which half of the loss. */
  private record Shape(List<Long> latents, List<Long> prompts, int instanceRows) {
    static Shape of(DeviceStep.Inputs inputs) {
      return new Shape(
          list(inputs.latents().shape()), list(inputs.prompts().shape()), inputs.instanceRows());
    }

    private static List<Long> list(long... shape) {
      return java.util.Arrays.stream(shape).boxed().toList();
    }
  }

  /** A shape's step, and its replay once it is recorded. */
  private static final class Known {
    final DeviceStep step;
    @Nullable Runnable replay;

    Known(DeviceStep step) {
      this.step = step;
    }
  }

  private final Arena run;
  private final DeviceStep.Rule rule;
  private final Recorder recorder;
  private final boolean must;
  private final Consumer<String> notes;
  private final Map<Shape, Known> shapes = new HashMap<>();
  private boolean failed;

  /**
   * Nothing is recorded yet.
   *
   * @param recorder is closed with this
   * @param must whether a recording that fails is a {@link Problem}; otherwise it is a note
   */
  public CapturedStep(
      Arena run, DeviceStep.Rule rule, Recorder recorder, boolean must, Consumer<String> notes) {
    this.run = run;
    this.rule = rule;
    this.recorder = recorder;
    this.must = must;
    this.notes = notes;
    // The first gradient of each step replaces what is there: so the first step launches just what
    // the recorded ones do, and nothing is loaded or found out by trial in a recording.
    rule.update().optimizer().zeroGradients();
  }

  /**
   * Why the steps of a run cannot be recorded; null if they can.
   *
   * @param kernels whether our kernels are launched there
   */
  static @Nullable String refusal(Config config, Device device, boolean kernels) {
    if (device != Device.CUDA) {
      return "the run is on the CPU";
    }
    return refusal(config, kernels);
  }

  /** As above, of a device that can record. */
  static @Nullable String refusal(Config config, boolean kernels) {
    if (!kernels) {
      return "our kernels are off (DREAMBOOTH4J_KERNELS)";
    }
    if (config.training().gradientAccumulationSteps() > 1) {
      return "with gradient_accumulation_steps above 1 a step is several batches, each of which may have another shape";
    }
    if (config.training().trainTextEncoder()) {
      return "with train_text_encoder the prompts are tokenized on the host in each step";
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

  /** One whole step with its update, which is left out where the gradients are not finite. */
  public DeviceStep.Result step(DeviceStep.Inputs inputs, DeviceStep.Settings settings) {
    Shape shape = Shape.of(inputs);
    Known known = shapes.get(shape);
    if (known == null) {
      known = new Known(new DeviceStep(run, rule, inputs));
      shapes.put(shape, known);
      known.step.write(inputs, settings);
      known.step.run();
    } else {
      if (known.replay == null && !failed) {
        record(known);
      }
      known.step.write(inputs, settings);
      (known.replay == null ? (Runnable) known.step::run : known.replay).run();
    }
    return known.step.read(settings);
  }

  private void record(Known known) {
    try {
      known.replay = recorder.record(known.step::run);
    } catch (RuntimeException e) {
      if (must) {
        boolean memory = e instanceof Problem p && p.kind() == Problem.Kind.MEMORY;
        throw new Problem(
            memory ? Problem.Kind.MEMORY : Problem.Kind.DEVICE,
            "cuda_graph: true: a step cannot be captured: %s. Set cuda_graph: auto"
                .formatted(e.getMessage()),
            e);
      }
      failed = true;
      notes.accept("cuda_graph: steps are not captured: " + e.getMessage());
    }
  }

  /** Shapes that are replayed. */
  long recorded() {
    return shapes.values().stream().filter(each -> each.replay != null).count();
  }

  /** The timesteps that the last step of these inputs' shape drew. */
  long[] timesteps(DeviceStep.Inputs inputs) {
    Known known = shapes.get(Shape.of(inputs));
    return known == null ? new long[0] : known.step.timesteps();
  }

  @Override
  public void close() {
    recorder.close();
    shapes.values().forEach(each -> each.step.close());
  }
}
