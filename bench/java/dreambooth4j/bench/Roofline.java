package dreambooth4j.bench;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.Conv2d;

/**
 * What this machine can do at its best, measured by the same libraries that train: arithmetic by a
 * 3×3 convolution of 320 channels, memory by a copy that no cache holds.
 *
 * @param gflops F32, thousand millions a second
 * @param gigabytes read and written, a second
 */
record Roofline(double gflops, double gigabytes) {
  private static final int TIMES = 8;
  private static final int SIDE = 32;
  private static final int CHANNELS = 320;
  private static final long COPIED = 64L << 20;

  static Roofline measure() {
    try (Arena arena = Arena.open("roofline")) {
      Parameters parameters = new Parameters(DType.F32);
      var weight = parameters.declare("weight", CHANNELS, CHANNELS, 3, 3);
      parameters.allocate(arena, false);
      Tensor x = arena.zeros("x", DType.F32, 2, SIDE, SIDE, CHANNELS);
      double convolution =
          shortest(
              () -> {
                try (Arena step = arena.child("step");
                    Tape tape = Tape.inference(step)) {
                  Conv2d.apply(tape, tape.constant(x), weight, null, 1, 1);
                }
              });
      Tensor from = arena.zeros("from", DType.F32, COPIED);
      Tensor to = arena.zeros("to", DType.F32, COPIED);
      double copy = shortest(() -> to.copyFrom(from));
      double flops = 2.0 * 2 * SIDE * SIDE * CHANNELS * CHANNELS * 9;
      return new Roofline(flops / convolution / 1e9, 8.0 * COPIED / copy / 1e9);
    }
  }

  private static double shortest(Runnable work) {
    double best = Double.MAX_VALUE;
    for (int i = 0; i < TIMES; i++) {
      long start = System.nanoTime();
      work.run();
      best = Math.min(best, (System.nanoTime() - start) / 1e9);
    }
    return best;
  }

  /** The most an op of so many operations a byte can reach, in GFLOP/s. */
  double at(double flopsPerByte) {
    return Math.min(gflops, gigabytes * flopsPerByte);
  }
}
