package dreambooth4j.model;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Dropout;
import dreambooth4j.engine.op.NoiseDraws;
import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Adapters of one component: small weights that train around layers whose own stay as they are.
 * {@link Scope} hands over each layer that it makes; the adapter's weights are declared among
 * others than the layer's, under the layer's name in diffusers, such as {@code
 * mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight}.
 */
public final class Adapters {
  /** No adapters. */
  public static final Adapters NONE =
      new Adapters(new Parameters(DType.F32), AdapterKind.LORA, (module, spatial) -> null);

  /**
   * The size of an adapter.
   *
   * @param rank values between its two products
   * @param alpha what it adds to the layer's result is multiplied with alpha / rank
   * @param factor what {@link Lokr} splits the sides of a weight by; 0 for as even as can be
   */
  public record Size(int rank, double alpha, int factor) {
    /** Split as evenly as can be. */
    public Size(int rank, double alpha) {
      this(rank, alpha, 0);
    }

    /**
     * That of a LoKr whose first matrix has this shape.
     *
     * @param rank of the second as a product; 0 where it is whole
     * @param weight the shape of the layer's weight, as files hold it
     * @return null where no factor splits the weight so
     */
    public static @Nullable Size ofLokr(
        int rank, double alpha, List<Long> weight, List<Long> first) {
      long outputs = weight.get(0) / first.get(0);
      long inputs = weight.get(1) / first.get(1);
      long larger = Math.max(outputs, inputs);
      if (rank > 0 && 2L * rank >= larger) {
        return null;
      }
      int most = (int) Math.max(weight.get(0), weight.get(1));
      for (int factor = 0; factor <= most; factor++) {
        if (Lokr.split(weight.get(0), factor)[0] == first.get(0)
            && Lokr.split(weight.get(1), factor)[0] == first.get(1)) {
          return rank == 0 ? new Size((int) larger, larger, factor) : new Size(rank, alpha, factor);
        }
      }
      return null;
    }

    /** What it adds is multiplied with this. */
    public double scale() {
      return alpha / rank;
    }
  }

  /** Which layers get an adapter, and of what size. */
  @FunctionalInterface
  public interface Sizes {
    /**
     * The size of a layer's adapter; null where it gets none.
     *
     * @param module the layer's name
     * @param spatial whether it is a convolution that sees more than one pixel
     */
    @Nullable Size of(String module, boolean spatial);
  }

  private final Parameters parameters;
  private final AdapterKind kind;
  private final Sizes sizes;
  private final Map<String, Size> chosen = new LinkedHashMap<>();
  private final List<Adapter> made = new ArrayList<>();
  private boolean off;
  private double dropout;
  private @Nullable NoiseDraws draws;

  /** Adapters whose weights are declared among {@code parameters}; for one model. */
  public Adapters(Parameters parameters, AdapterKind kind, Sizes sizes) {
    this.parameters = parameters;
    this.kind = kind;
    this.sizes = sizes;
  }

  /** The size of each layer's adapter by the layer's name, in the order of declaration. */
  public Map<String, Size> sizes() {
    return Collections.unmodifiableMap(chosen);
  }

  /**
   * Gives all of them the numbers that training begins with, if there are any; none changes its
   * layer yet. The base model's weights must be there.
   *
   * @param arena holds one tensor at a time
   * @param seed of the draws
   */
  public void begin(Arena arena, long seed) {
    if (!made.isEmpty()) {
      made.forEach(each -> each.begin(new Draws(arena, seed)));
      parameters.copyMasters();
    }
  }

  /** Computes as if there were no adapters meanwhile. */
  public void off(Runnable body) {
    off = true;
    try {
      body.run();
    } finally {
      off = false;
    }
  }

  /**
   * Has a share of what goes into each adapter dropped in training from now on.
   *
   * @param share from 0, none, to below 1
   */
  public void drop(double share) {
    dropout = share;
  }

  /** What is dropped is drawn by these from now on. */
  public void draw(NoiseDraws ofStep) {
    draws = ofStep;
  }

  /**
   * What an adapter is to see of its input: in training, all but what is dropped.
   *
   * @param of a weight of the adapter, whose name tells its draws from those of others
   */
  Var seen(Tape tape, Var x, Parameter of) {
    NoiseDraws known = dropping(tape);
    return known == null ? x : Dropout.apply(tape, x, known, purpose(of), dropout);
  }

  /** What {@link #seen} takes away from an input; null where it is seen as it is. */
  @Nullable Var unseen(Tape tape, Var x, Parameter of) {
    NoiseDraws known = dropping(tape);
    return known == null ? null : Dropout.rest(tape, x, known, purpose(of), dropout);
  }

  private @Nullable NoiseDraws dropping(Tape tape) {
    return dropout > 0 && tape.isRecording() ? draws : null;
  }

  private static String purpose(Parameter of) {
    return "dropout before " + of.name();
  }

  boolean areOff() {
    return off;
  }

  /** A linear layer with its adapter, or itself where it gets none. */
  Dense around(String module, Dense.Plain layer) {
    Adapter adapter = adapter(module, layer);
    return adapter == null ? layer : adapter;
  }

  /** A convolution with its adapter, or itself where it gets none. */
  Conv around(String module, Conv.Plain layer) {
    Adapter adapter = adapter(module, layer);
    return adapter == null ? layer : adapter;
  }

  private @Nullable Adapter adapter(String module, PlainLayer layer) {
    long[] weight = layer.weight().fileShape();
    Size size = sizes.of(module, weight.length == 4 && weight[2] * weight[3] > 1);
    if (size == null) {
      return null;
    }
    Adapter adapter = kind.around(this, new Scope(parameters, NONE, module + "."), layer, size);
    chosen.put(module, size);
    made.add(adapter);
    return adapter;
  }

  /** The numbers that adapters begin with: a function of seed and name. */
  record Draws(Arena arena, long seed) {
    /** Draws evenly from -bound to bound. */
    void uniform(Parameter parameter, double bound) {
      CounterRandom random = CounterRandom.at(seed, parameter.name(), 0, 0);
      float[] values = new float[Math.toIntExact(parameter.count())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (bound * (2 * random.uniform() - 1));
      }
      set(parameter, values);
    }

    /** Draws from a normal distribution around 0. */
    void normal(Parameter parameter, double deviation) {
      float[] values = new float[Math.toIntExact(parameter.count())];
      CounterRandom.at(seed, parameter.name(), 0, 0).normal(values, 0, values.length);
      for (int i = 0; i < values.length; i++) {
        values[i] *= (float) deviation;
      }
      set(parameter, values);
    }

    private void set(Parameter parameter, float[] values) {
      var drawn = arena.floats(parameter.name(), values, parameter.fileShape());
      parameter.read(drawn);
      drawn.release();
    }
  }
}
