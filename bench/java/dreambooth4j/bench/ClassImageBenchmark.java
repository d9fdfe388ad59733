package dreambooth4j.bench;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.TextToImage;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
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
 * Class images by a real base model: prompt, sampler steps with guidance, VAE. The time is that of
 * one batch; divide it by {@code count}.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1)
@Measurement(iterations = 5)
public class ClassImageBenchmark {
  /** A diffusers folder. */
  @Param({"weights/sprites64"})
  public String model;

  /** Side of the pictures in pixels. */
  @Param({"64"})
  public int side;

  /** Pictures made together. */
  @Param({"1", "4", "16"})
  public int count;

  /** Sampler steps. */
  @Param({"10"})
  public int steps;

  private Arena run;
  private StableDiffusion loaded;

  /** Loads the model. */
  @Setup
  public void open() {
    run = Arena.open("bench");
    loaded = StableDiffusion.load(run, ModelSource.find(model, ModelOptions.NONE));
  }

  /** Frees it. */
  @TearDown
  public void close() {
    loaded.close();
    run.close();
  }

  /** One batch. */
  @Benchmark
  public int batch() {
    List<Long> seeds = LongStream.range(0, count).boxed().toList();
    TextToImage.Request request =
        new TextToImage.Request("man, red hat", "", side, side, steps, 7.5, null);
    try (TorchNoise noise = TorchNoise.ofRows(seeds)) {
      return new TextToImage(loaded, TextEncoding.USUAL)
          .generate(run, request, count, noise, step -> {})
          .size();
    }
  }
}
