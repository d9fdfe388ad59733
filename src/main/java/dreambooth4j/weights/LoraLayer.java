package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.LowRank;
import java.util.EnumSet;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;

/**
 * One layer's adapter as a file holds it: LoRA, LoHa or LoKr, with DoRA's magnitude or without. Its
 * factors are all there and fit the layer's weight.
 */
public final class LoraLayer {
  private final LoraNames.Layer layer;
  private final LoraTensors tensors;
  private final LoraChange change;
  private final double scale;

  /** The axis of the weight that a magnitude has an element for each place of. */
  private final int magnitudeAxis;

  /** Checks the factors; {@code alpha} is what the file holds for this layer, NaN if nothing. */
  LoraLayer(LoraNames.Layer layer, LoraTensors tensors, double alpha, LoraAlpha noted) {
    this.layer = layer;
    this.tensors = tensors;
    this.change = LoraChange.of(tensors);
    OptionalLong rank = change.rank();
    this.scale =
        rank.isEmpty() ? 1 : noted.scale(layer.component(), layer.name(), alpha, rank.getAsLong());
    this.magnitudeAxis = tensors.has(LoraFactor.MAGNITUDE) ? magnitudeAxis() : 0;
  }

  /** Of the outputs, but for old files of LyCORIS, which say so by their shape. */
  private int magnitudeAxis() {
    TensorInfo info = tensors.info(LoraFactor.MAGNITUDE);
    List<Long> found = info.shape();
    long inputs = tensors.shape().get(1);
    boolean byInput =
        found.size() > 1 && found.get(0) == 1 && found.get(1) == inputs && info.count() == inputs;
    boolean byPeft = found.size() == 4 && found.get(1) == tensors.outputs();
    if (byInput && !byPeft) {
      return 1;
    }
    tensors.require(
        info.count() == tensors.outputs(),
        LoraFactor.MAGNITUDE,
        tensors.outputs() + " numbers, one for each output");
    return 0;
  }

  /** The part of the model that the layer is in. */
  public Component component() {
    return layer.component();
  }

  /** The layer's name here, such as {@code mid_block.attentions.0.proj_in}. */
  public String name() {
    return layer.name();
  }

  /** What the change is multiplied by: alpha / rank. */
  public double scale() {
    return scale;
  }

  /** What alpha is divided by; empty where the change is not scaled. */
  public OptionalLong rank() {
    return change.rank();
  }

  /** The types of its factors. */
  Set<DType> types() {
    Set<DType> types = EnumSet.noneOf(DType.class);
    tensors.byFactor().values().forEach(info -> types.add(info.dtype()));
    return types;
  }

  /** Adds the layer to what is to be written, as the file holds it; that stays open until then. */
  void addTo(LoraContents contents) {
    tensors
        .byFactor()
        .forEach(
            (factor, info) ->
                contents.add(layer, factor, shape(info), arena -> tensors.read(arena, factor)));
    OptionalLong rank = change.rank();
    contents.alpha(layer, rank.isEmpty() ? 1 : scale * rank.getAsLong());
  }

  /** As the file has it, but for norms: {@code [out]}, or {@code [1, in]} if they are of inputs. */
  private long[] shape(TensorInfo info) {
    if (!info.equals(tensors.byFactor().get(LoraFactor.MAGNITUDE))) {
      return info.sizes();
    }
    return magnitudeAxis == 0 ? new long[] {info.count()} : new long[] {1, info.count()};
  }

  /** Whether there is such a factor. */
  public boolean has(LoraFactor factor) {
    return tensors.has(factor);
  }

  /** The shape of a factor, as the file holds it. */
  public List<Long> shape(LoraFactor factor) {
    return tensors.info(factor).shape();
  }

  /**
   * Fills a parameter with a factor.
   *
   * @throws Problem when there is no such factor or it has another shape
   */
  public void readInto(Parameter target, LoraFactor factor) {
    tensors.file().readInto(target, tensors.info(factor).name());
  }

  /**
   * The weight with this change in it.
   *
   * @param weight in the file's order and shape, any type
   * @param strength how many times the change is added; of DoRA, with the norms of that sum
   * @return F32, held by the caller
   */
  Tensor merged(Arena arena, Tensor weight, double strength) {
    try (Arena scratch = arena.child("merge " + layer.name())) {
      return LowRank.changed(
          arena,
          weight,
          change.compute(scratch),
          strength * scale,
          has(LoraFactor.MAGNITUDE) ? tensors.read(scratch, LoraFactor.MAGNITUDE) : null,
          magnitudeAxis);
    }
  }
}
