package dreambooth4j.engine;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * Normal noise from libtorch's CPU generator, the numbers that {@code
 * torch.Generator("cpu").manual_seed(seed)} gives: so a picture equals diffusers' of the same seed.
 * Close it.
 */
public final class TorchNoise implements AutoCloseable {
  private final List<Generator> generators = new ArrayList<>();

  private TorchNoise() {}

  /** One generator for all rows, as diffusers uses a single generator. */
  public static TorchNoise ofBatch(long seed) {
    return ofRows(List.of(seed));
  }

  /**
   * A generator of its own for each row, as diffusers uses a list of generators: a picture does not
   * depend on those beside it.
   */
  public static TorchNoise ofRows(List<Long> seeds) {
    TorchNoise noise = new TorchNoise();
    for (long seed : seeds) {
      Native.run(
          "generator",
          () -> {
            Generator generator = torch.createCPUGenerator(seed);
            generator.retainReference();
            noise.generators.add(generator);
          });
    }
    return noise;
  }

  /**
   * The next draw: F32 [rows, height, width, channels] in {@code arena}, drawn in the order [rows,
   * channels, height, width]; the caller holds it.
   */
  public Tensor draw(Arena arena, long rows, long height, long width, long channels) {
    long share = rows / generators.size();
    if (share * generators.size() != rows) {
      throw new IllegalArgumentException(rows + " rows for " + generators.size() + " generators");
    }
    long[] shape = {share, channels, height, width};
    return arena.compute(
        "noise",
        () -> {
          TensorVector parts = new TensorVector();
          for (Generator each : generators) {
            parts.push_back(
                torch.randn(
                    shape, new GeneratorOptional(each), Native.options(DType.F32, DeviceType.CPU)));
          }
          return torch
              .cat(parts, 0)
              .permute(0, 2, 3, 1)
              .contiguous()
              .to(new org.bytedeco.pytorch.Device(arena.device().type()), torch.ScalarType.Float);
        });
  }

  @Override
  public void close() {
    generators.forEach(Generator::releaseReference);
    generators.clear();
  }
}
