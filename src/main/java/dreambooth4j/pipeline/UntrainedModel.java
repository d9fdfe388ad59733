package dreambooth4j.pipeline;

import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.random.CounterRandom;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.DerivedSource;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.TensorInfo;
import dreambooth4j.weights.TensorSource;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A model that has learnt nothing: its UNet and text encoders, of the sizes that another model's
 * configurations say, have random weights. Everything else (VAE, tokenizers, noise schedule) is the
 * other model's, which needs no weights of a UNet or text encoder.
 */
public final class UntrainedModel extends DerivedSource {
  /** To be raised when the same seed gives other weights than before. */
  private static final int VERSION = 1;

  private final long seed;

  /** Sizes and the rest of {@code base}; {@code seed} decides the weights. */
  public UntrainedModel(ModelSource base, long seed) {
    super(base);
    this.seed = seed;
  }

  private static boolean isUntrained(Component component) {
    return component == Component.UNET || component.isTextEncoder();
  }

  @Override
  public boolean hasWeights(Component component) {
    return isUntrained(component) || base.hasWeights(component);
  }

  @Override
  public String fingerprint(Component component) {
    return isUntrained(component)
        ? Sha256.of("untrained %d, seed %d, %s".formatted(VERSION, seed, base.config(component)))
        : base.fingerprint(component);
  }

  @Override
  public TensorSource weights(Component component) {
    if (!isUntrained(component)) {
      return base.weights(component);
    }
    Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    try (Arena dry = Arena.open("sizes", OpBackend.dry(Device.CPU));
        StableDiffusion model = StableDiffusion.load(dry, base)) {
      for (Parameter each : model.parameters(component).all()) {
        var shape = Arrays.stream(each.fileShape()).boxed().toList();
        tensors.put(each.name(), new TensorInfo(each.name(), DType.F32, shape, 0));
      }
    }
    return new RandomWeights(base.path().resolve(component.folder()), component, tensors, seed);
  }

  /** The weights of a component, drawn when they are read. */
  private record RandomWeights(
      Path path, Component component, Map<String, TensorInfo> tensors, long seed)
      implements TensorSource {
    @Override
    public Path fileOf(String name) {
      return path;
    }

    @Override
    public Tensor read(Arena arena, String name) {
      TensorInfo info = info(name);
      return arena.floats(name, InitialWeights.of(component, info, seed), info.sizes());
    }

    @Override
    public void close() {
      // nothing is open
    }
  }

  /** How weights begin, which are usual for UNets (Dhariwal and Nichol 2021) and for CLIP. */
  private static final class InitialWeights {
    private static final double EMBEDDING_DEVIATION = 0.02;

    private InitialWeights() {}

    static float[] of(Component component, TensorInfo info, long seed) {
      float[] values = new float[Math.toIntExact(info.count())];
      String name = info.name();
      String purpose = "initial weights of %s %s".formatted(component.folder(), name);
      CounterRandom random = CounterRandom.at(seed, purpose, 0, 0);
      if (info.shape().size() < 2) {
        Arrays.fill(values, name.endsWith("bias") ? 0 : 1); // a norm's weight is 1
      } else if (name.contains("embeddings.")) {
        normal(values, EMBEDDING_DEVIATION, random);
      } else if (component.isTextEncoder()) {
        normal(values, 1 / Math.sqrt(inputs(info)), random);
      } else if (!endsBranch(name)) {
        double bound = 1 / Math.sqrt(inputs(info));
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) ((2 * random.uniform() - 1) * bound);
        }
      }
      return values;
    }

    /** Numbers that one of its outputs is a sum of. */
    private static double inputs(TensorInfo info) {
      return (double) info.count() / info.shape().get(0);
    }

    /** Whether it is the last layer of a residual branch, which begins as if it were not there. */
    private static boolean endsBranch(String name) {
      return name.endsWith("conv2.weight")
          || name.endsWith("proj_out.weight")
          || name.equals("conv_out.weight");
    }

    private static void normal(float[] values, double deviation, CounterRandom random) {
      random.normal(values, 0, values.length);
      for (int i = 0; i < values.length; i++) {
        values[i] *= (float) deviation;
      }
    }
  }
}
