package dreambooth4j.bench;

import dreambooth4j.data.Bucket;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.Pixels;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.weights.TensorCache;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
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
 * A picture from its file to the pixels of its bucket (decoded, turned upright, scaled, cropped),
 * and its moments from the cache on disk, which every later step and run reads in its place.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class DataBenchmark {
  /** Width and height of the picture. */
  @Param({"1024x768", "4000x3000"})
  public String picture;

  /** The file's format. */
  @Param({"jpg", "png"})
  public String format;

  /** Width and height of the bucket. */
  @Param({"512x512"})
  public String bucket;

  private Path file;
  private Bucket target;
  private Path folder;
  private Arena arena;
  private TensorCache cache;
  private long[] moments;

  /** Writes a picture of soft noise, about as hard to decode as a photograph. */
  @Setup
  public void write() throws IOException {
    int[] size = size(picture);
    BufferedImage image = new BufferedImage(size[0], size[1], BufferedImage.TYPE_INT_RGB);
    SplittableRandom random = new SplittableRandom(1);
    for (int y = 0; y < size[1]; y++) {
      for (int x = 0; x < size[0]; x++) {
        int grey = (x + y) / 8 + random.nextInt(24);
        image.setRGB(x, y, (grey & 255) << 16 | (grey / 2 & 255) << 8 | (255 - grey & 255));
      }
    }
    folder = Files.createTempDirectory("bench");
    file = folder.resolve("picture." + format);
    ImageIO.write(image, format, file.toFile());
    int[] sides = size(bucket);
    target = new Bucket(sides[0], sides[1]);
    arena = Arena.open("bench");
    cache = TensorCache.in(folder, arena, System.err::println);
    moments = new long[] {1, sides[1] / 8, sides[0] / 8, 8};
    cached(); // writes them
  }

  private static int[] size(String words) {
    String[] parts = words.split("x");
    return new int[] {Integer.parseInt(parts[0]), Integer.parseInt(parts[1])};
  }

  /** Removes all. */
  @TearDown
  public void delete() throws IOException {
    arena.close();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path each : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    }
  }

  /** From the picture. */
  @Benchmark
  public Pixels read() {
    return ImageReader.read(file, target);
  }

  /** From the cache: read, checksum, release. */
  @Benchmark
  public long cached() {
    Tensor tensor = cache.get("bench", moments, () -> arena.zeros("moments", DType.F32, moments));
    tensor.release();
    return moments[1];
  }
}
