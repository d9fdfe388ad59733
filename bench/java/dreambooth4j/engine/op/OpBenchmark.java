package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Each op at the sizes of Stable Diffusion 1.5's UNet, forward alone and forward with backward, in
 * F32. Beside the time stand GFLOP/s and GB/s: the operations of backward are twice those of
 * forward, and bytes are those of inputs, weights, results and gradients, each read or written
 * once. Tensors that fit into a cache stay there from one run to the next. {@code bench/run ops}
 * starts it.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 4, time = 300, timeUnit = TimeUnit.MILLISECONDS)
public class OpBenchmark {
  /** Rates, of one operation each: JMH divides the sums by the time. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Rates {
    /** Thousand million floating-point operations a second. */
    public double gflops;

    /** Thousand million bytes a second. */
    public double gigabytes;

    /** Forgets the last iteration. */
    @Setup(Level.Iteration)
    public void clear() {
      gflops = 0;
      gigabytes = 0;
    }
  }

  /** Side of the pictures in pixels. */
  @Param({"256"})
  public int side;

  /** Rows: 2 is one instance picture and its class picture. */
  @Param({"2"})
  public int rows;

  /** One of {@link #names}; bench/run gives all. */
  @Param({""})
  public String op;

  private OpCase timed;
  private Arena arena;
  private OpCase.Filled filled;
  private Tensor cotangent;
  private double forwardBytes;
  private double backwardBytes;

  /** All there are, for this many rows and this side of the pictures. */
  public static String[] names(int rows, int side) {
    return StableDiffusionOps.of(rows, side).stream().map(OpCase::toString).toArray(String[]::new);
  }

  /** Fills the tensors. */
  @Setup
  public void open() {
    timed =
        StableDiffusionOps.of(rows, side).stream()
            .filter(each -> each.toString().equals(op))
            .findFirst()
            .orElseThrow();
    arena = Arena.open("bench");
    filled = timed.fill(arena, DType.F32, 7);
    try (Arena step = arena.child("shape");
        Tape tape = Tape.recording(step)) {
      Tensor y = filled.run(step, timed, tape).value();
      cotangent = OpCase.random(arena, DType.F32, new SplittableRandom(11), y.shape());
    }
    forwardBytes = Float.BYTES * timed.forwardNumbers(cotangent.shape());
    backwardBytes = Float.BYTES * timed.backwardNumbers(cotangent.shape());
  }

  /** Frees them. */
  @TearDown
  public void close() {
    arena.close();
  }

  /** There. */
  @Benchmark
  public long forward(Rates rates) {
    try (Arena step = arena.child("step");
        Tape tape = Tape.recording(step)) {
      Var y = filled.run(step, timed, tape);
      count(rates, 1, forwardBytes);
      return y.size(0);
    }
  }

  /** There and back. */
  @Benchmark
  public long forwardBackward(Rates rates) {
    try (Arena step = arena.child("step");
        Tape tape = Tape.recording(step)) {
      Var y = filled.run(step, timed, tape);
      tape.backward(y, cotangent);
      count(rates, 3, forwardBytes + backwardBytes);
      return y.size(0);
    }
  }

  private void count(Rates rates, int passes, double bytes) {
    rates.gflops += passes * timed.flops() / 1e9;
    rates.gigabytes += bytes / 1e9;
  }
}
