package dreambooth4j.train;

import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.Config;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Threads;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Conv2d;
import dreambooth4j.engine.op.Linear;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.ModelSource;
import java.util.List;
import java.util.Locale;

/**
 * Seconds that the same layers take a core of this CPU in float32 and in bf16, forward and
 * backward: a linear layer and a convolution of each level of a run's UNet, at the sizes of its
 * steps. Layers like these are most of a step. Takes a second or two.
 *
 * @param f32 in float32
 * @param bf16 in bf16
 */
record PrecisionTrial(double f32, double bf16) {
  /** bf16 rounds to 8 bits, so it must save more than what one trial and the next differ by. */
  private static final double WORTHWHILE = 0.9;

  /** The first of which prepares what the libraries keep from call to call. */
  private static final int PASSES = 3;

  /** Pixels of latents that suffice to tell: more rows and larger pictures only take longer. */
  private static final long MOST_PIXELS = 4096;

  /** Widths of a transformer block's inner layer, in widths of its outer ones. */
  private static final int WIDER = 4;

  /** Measures at the sizes of a run's steps. */
  static PrecisionTrial of(Config config, ModelSource base) {
    try (Arena dry = Arena.open("sizes", OpBackend.dry(Device.CPU));
        StableDiffusion model = StableDiffusion.load(dry, base)) {
      long side = Math.max(1, config.data().resolution() / model.vae().config().factor());
      return of(model.unet().config(), 2L * config.training().trainBatchSize(), side);
    }
  }

  /**
   * Measures.
   *
   * @param rows of a step, as far as they are needed to tell
   * @param side of square latents
   */
  static PrecisionTrial of(UNetConfig unet, long rows, long side) {
    long fewer = Math.max(1, Math.min(rows, MOST_PIXELS / (side * side)));
    double[] least = {Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY};
    DType[] types = {DType.F32, DType.BF16};
    try (Arena arena = Arena.open("precision trial")) {
      List<Layers> layers = List.of(layers(arena, types[0], unet), layers(arena, types[1], unet));
      for (int pass = 0; pass < PASSES; pass++) {
        for (int i = 0; i < types.length; i++) {
          Layers each = layers.get(i);
          double seconds = Threads.processorSeconds(() -> each.pass(arena, fewer, side));
          least[i] = pass == 0 ? least[i] : Math.min(least[i], seconds);
        }
      }
    }
    return new PrecisionTrial(least[0], least[1]);
  }

  /** The type that the run is faster in. */
  MixedPrecision faster() {
    return bf16 < WORTHWHILE * f32 ? MixedPrecision.BF16 : MixedPrecision.NO;
  }

  /** What was seen, in words. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "layers of this run's sizes take a core here %.3f s in float32 and %.3f s in bf16",
        f32,
        bf16);
  }

  /** The weights of one type: by level those of a linear layer and of a convolution. */
  private record Layers(DType type, List<Integer> widths, List<Parameter> weights) {
    void pass(Arena arena, long rows, long side) {
      long at = side;
      for (int level = 0; level < widths.size(); level++) {
        int width = widths.get(level);
        try (Arena inside = arena.child("level")) {
          Tensor x = inside.zeros("x", type, rows, at, at, width);
          walk(inside, x, weights.get(2 * level), WIDER * width, true);
          walk(inside, x, weights.get(2 * level + 1), width, false);
        }
        at = (at + 1) / 2;
      }
    }

    private void walk(Arena inside, Tensor x, Parameter weight, int out, boolean linear) {
      try (Tape tape = Tape.recording(inside)) {
        Var input = tape.input(x);
        Var y =
            linear
                ? Linear.apply(tape, input, weight, null)
                : Conv2d.apply(tape, input, weight, null, 1, 1);
        tape.backward(y, inside.zeros("dy", type, x.size(0), x.size(1), x.size(2), out));
      }
    }
  }

  private static Layers layers(Arena arena, DType type, UNetConfig unet) {
    Parameters parameters = new Parameters(type, false);
    List<Integer> widths = unet.blockOutChannels();
    for (int level = 0; level < widths.size(); level++) {
      long width = widths.get(level);
      parameters.declare("linear " + level, WIDER * width, width);
      parameters.declare("convolution " + level, width, width, 3, 3);
    }
    parameters.allocate(arena, true);
    return new Layers(type, widths, parameters.all());
  }
}
