package dreambooth4j.model;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.op.NoiseDraws;
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
public final class Adapters implements LayerWrapper {
  /** No adapters. */
  public static final Adapters NONE =
      new Adapters(new Parameters(DType.F32), AdapterKind.LORA, (module, spatial) -> null);

  /** Which layers get an adapter, and of what size. */
  @FunctionalInterface
  public interface Sizes {
    /**
     * The size of a layer's adapter; null where it gets none.
     *
     * @param module the layer's name
     * @param spatial whether it is a convolution that sees more than one pixel
     */
    @Nullable AdapterSize of(String module, boolean spatial);
  }

  private final Parameters parameters;
  private final AdapterKind kind;
  private final Sizes sizes;
  private final Map<String, AdapterSize> chosen = new LinkedHashMap<>();
  private final List<Adapter> made = new ArrayList<>();
  private final AdapterInput input = new AdapterInput();

  /** Adapters whose weights are declared among {@code parameters}; for one model. */
  public Adapters(Parameters parameters, AdapterKind kind, Sizes sizes) {
    this.parameters = parameters;
    this.kind = kind;
    this.sizes = sizes;
  }

  /** The size of each layer's adapter by the layer's name, in the order of declaration. */
  public Map<String, AdapterSize> sizes() {
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
      made.forEach(each -> each.begin(new AdapterDraws(arena, seed)));
      parameters.copyMasters();
    }
  }

  /** Computes as if there were no adapters meanwhile. */
  public void off(Runnable body) {
    input.off(body);
  }

  /**
   * Has a share of what goes into each adapter dropped in training from now on.
   *
   * @param share from 0, none, to below 1
   */
  public void drop(double share) {
    input.drop(share);
  }

  /** What is dropped is drawn by these from now on. */
  public void draw(NoiseDraws ofStep) {
    input.draw(ofStep);
  }

  /** A linear layer with its adapter, or itself where it gets none. */
  @Override
  public Dense around(String module, Dense.Plain layer) {
    Adapter adapter = adapter(module, layer);
    return adapter == null ? layer : adapter;
  }

  /** A convolution with its adapter, or itself where it gets none. */
  @Override
  public Conv around(String module, Conv.Plain layer) {
    Adapter adapter = adapter(module, layer);
    return adapter == null ? layer : adapter;
  }

  private @Nullable Adapter adapter(String module, PlainLayer layer) {
    long[] weight = layer.weight().fileShape();
    AdapterSize size = sizes.of(module, weight.length == 4 && weight[2] * weight[3] > 1);
    if (size == null) {
      return null;
    }
    Adapter adapter =
        kind.around(input, new Scope(parameters, LayerWrapper.NONE, module + "."), layer, size);
    chosen.put(module, size);
    made.add(adapter);
    return adapter;
  }
}
