package dreambooth4j.engine;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.ThreadMXBean;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.TextToImage;
import dreambooth4j.train.MadeUpTraining;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;

/**
 * Does one thing over and over in a JVM of its own, in which no garbage is ever collected, and
 * prints what native objects are alive: see {@link LeakTest}.
 */
final class LeakRun {
  private LeakRun() {}

  /** Arguments: what to do, a model folder, how often, when to count for the first time. */
  public static void main(String[] args) throws IOException {
    int times = Integer.parseInt(args[2]);
    int early = Integer.parseInt(args[3]);
    Threads.hasOpenBlas(); // keeps the address of OpenBLAS' setter as long as the process lives
    print("start", 0, 0);
    Arena run = Arena.open("run");
    AutoCloseable model = () -> {};
    Runnable work;
    switch (args[0]) {
      case "train" -> work = training(run, args[1], 0)::step;
      case "lora" -> work = training(run, args[1], 2)::step;
      case "forget" -> {
        MadeUpTraining training = training(run, args[1], 0);
        work =
            () -> {
              training.step();
              new Scalar(1);
            };
      }
      case "generate" -> {
        StableDiffusion loaded =
            StableDiffusion.load(run, ModelFolder.open(Path.of(args[1]), null));
        model = loaded;
        work = () -> generate(run, loaded);
      }
      default -> throw new IllegalArgumentException(args[0]);
    }
    long garbage = 0;
    for (int i = 1; i <= times; i++) {
      work.run();
      if (i == early) {
        print("early", run.meter().liveCount(), run.meter().liveBytes());
        garbage = allocated();
      }
    }
    long each = (allocated() - garbage) / (times - early);
    print("late", run.meter().liveCount(), run.meter().liveBytes());
    close(model);
    run.close();
    print("closed", run.meter().liveCount(), run.meter().liveBytes());
    System.out.println("garbage " + each);
  }

  /** {@code rank}: that of adapters; 0 trains all weights. */
  private static MadeUpTraining training(Arena run, String model, int rank) throws IOException {
    Path config = Path.of(model, "unet", "config.json");
    return new MadeUpTraining(
        run,
        UNetConfig.of(new ObjectMapper().readTree(config.toFile()), config.toString()),
        new MadeUpTraining.Sizes(1, 8, 7),
        MadeUpTraining.Manner.EXACT.withRank(rank));
  }

  /** Every sampler once. */
  private static void generate(Arena run, StableDiffusion model) {
    for (SamplerKind kind : SamplerKind.values()) {
      TextToImage.Request request = new TextToImage.Request("cat", "dog", 32, 32, 4, 3, kind);
      try (TorchNoise noise = TorchNoise.ofRows(List.of(1L, 2L))) {
        new TextToImage(model, TextEncoding.USUAL).generate(run, request, 2, noise, step -> {});
      }
    }
  }

  private static void close(AutoCloseable model) {
    try {
      model.close();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static long allocated() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    return threads.getThreadAllocatedBytes(Thread.currentThread().getId());
  }

  private static void print(String when, long tensors, long bytes) {
    System.out.printf(
        "%s %d %d %d %d%n", when, Pointer.totalCount(), Boxed.handles(), tensors, bytes);
  }
}
