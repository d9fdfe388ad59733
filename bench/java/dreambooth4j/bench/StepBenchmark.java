package dreambooth4j.bench;

import dreambooth4j.engine.Arena;
import dreambooth4j.train.MadeUpTraining;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
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
 * Whole training steps of a random UNet: noise, forward, loss, backward, clip, update. With {@code
 * -prof gc} the Java garbage of a step stands beside the time. The shape of Stable Diffusion 1.5
 * ({@code -p unet=bench/models/sd15-unet.json}) needs 16 GB.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3)
@Measurement(iterations = 10)
public class StepBenchmark {
  /** A UNet's config.json. */
  @Param({"weights/sprites64/unet/config.json"})
  public String unet;

  /** Side of the pictures in pixels. */
  @Param({"32", "64", "128"})
  public int side;

  /** Instance pictures, each with its class picture. */
  @Param({"1", "2", "4", "8"})
  public int pairs;

  private Arena run;
  private MadeUpTraining training;

  /** Allocates the model and fills it. */
  @Setup
  public void open() throws IOException {
    run = Arena.open("bench");
    training =
        new MadeUpTraining(
            run, StepRun.config(Path.of(unet)), new MadeUpTraining.Sizes(pairs, side / 8, 77));
  }

  /** Frees it. */
  @TearDown
  public void close() {
    run.close();
  }

  /** One step. */
  @Benchmark
  public double step() {
    return training.step();
  }
}
