package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.LowRank;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.regex.Pattern;

/**
 * The difference of two models as a LoRA: of each layer's difference the closest of a rank. Two
 * tensors at a time are in memory, and the LoRA.
 */
public final class LoraExtraction {
  /** The layers that every program knows a LoRA of: those that kohya's scripts train. */
  private static final Pattern LAYERS =
      Pattern.compile("(down_blocks|up_blocks|mid_block|encoder\\.layers)\\..+");

  /**
   * What was extracted.
   *
   * @param layers that differ, and are in the LoRA
   * @param others tensors that differ and that no LoRA holds: biases, norms, the first and the last
   *     layers
   * @param kept how much of the whole difference the LoRA is: 1 is all of it, as shares of the sum
   *     of squares
   */
  public record Result(int layers, int others, double kept) {}

  private final ModelSource base;
  private final ModelSource trained;
  private final int rank;
  private final DType type;
  private final LoraContents contents = new LoraContents();
  private int others;
  private double difference;
  private double missed;

  /**
   * An extraction.
   *
   * @param rank of every layer, at most; a small layer has that of its smaller side
   * @param type what the factors are held in
   */
  public LoraExtraction(ModelSource base, ModelSource trained, int rank, DType type) {
    this.base = base;
    this.trained = trained;
    this.rank = rank;
    this.type = type;
    if (base.pipeline() != trained.pipeline()) {
      throw Problem.data(
          "%s is of another kind than %s: their difference is no LoRA"
              .formatted(trained.path(), base.path()));
    }
  }

  /** Tensors that are compared: what {@link #write} tells its progress in. */
  public int tensors() {
    int count = 0;
    for (Component each : components()) {
      try (TensorSource weights = base.weights(each)) {
        count += weights.tensors().size();
      }
    }
    return count;
  }

  private List<Component> components() {
    return base.pipeline().components().stream().filter(ModelLayers::isAdapted).toList();
  }

  /**
   * Compares the models and writes the LoRA, whole or not at all.
   *
   * @param arena holds the LoRA until it is written
   * @param progress is told how many tensors are compared
   * @throws Problem when the models do not fit each other, do not differ, or the file cannot be
   *     written
   */
  public Result write(Arena arena, Path file, LoraNaming naming, IntConsumer progress) {
    try (WholeOutput output = new WholeOutput(file)) {
      compareAll(arena, progress);
      String title = String.valueOf(file.getFileName()).replaceFirst("\\.safetensors$", "");
      LoraCard card = LoraCard.titled(title, ModelWriter.notesOf(trained));
      LoraMetadata metadata = LoraMetadata.of(card, base);
      LoraNames layers = new LoraNames(ModelLayers.of(base));
      output.add(file, naming.writer(contents, layers, type, metadata, arena).body(arena));
      output.commit();
      return new Result(contents.alphas().size(), others, 1 - missed / difference);
    }
  }

  private void compareAll(Arena arena, IntConsumer progress) {
    int done = 0;
    for (Component component : components()) {
      try (TensorSource before = base.weights(component);
          TensorSource after = trained.weights(component)) {
        Map<String, String> names = matched(component, before, after);
        for (String ours : names.keySet()) {
          compare(arena, component, ours, before, after, names);
          progress.accept(++done);
        }
      }
    }
    if (contents.items().isEmpty()) {
      throw Problem.data(
          "%s and %s have the same layers: there is no difference to extract"
              .formatted(trained.path(), base.path()));
    }
  }

  /** The trained model's names of the weights by their names in the base. */
  private Map<String, String> matched(
      Component component, TensorSource before, TensorSource after) {
    Map<String, String> ofTrained = new HashMap<>(WeightNames.fileNames(component, after));
    Map<String, String> matched = new LinkedHashMap<>();
    WeightNames.fileNames(component, before)
        .forEach(
            (ours, name) -> {
              String other = ofTrained.remove(ours);
              if (other == null || !after.info(other).shape().equals(before.info(name).shape())) {
                throw Problem.data(
                    "%s: tensor %s: expected %s as in %s, found %s"
                        .formatted(
                            after.path(),
                            ours,
                            before.info(name).shape(),
                            before.path(),
                            other == null ? "none" : after.info(other).shape()));
              }
              matched.put(name, other);
            });
    return matched;
  }

  private void compare(
      Arena arena,
      Component component,
      String name,
      TensorSource before,
      TensorSource after,
      Map<String, String> names) {
    String other = names.getOrDefault(name, name);
    try (Arena scratch = arena.child("compare " + name)) {
      Tensor change =
          LowRank.difference(scratch, after.read(scratch, other), before.read(scratch, name));
      double squares = LowRank.squares(change);
      if (squares == 0) {
        return;
      }
      if (!Double.isFinite(squares)) {
        throw Problem.data(
            "%s: tensor %s: its difference from %s is not finite"
                .formatted(after.path(), other, before.path()));
      }
      difference += squares;
      String layer = layer(component, name);
      if (layer.isEmpty() || change.rank() < 2) {
        others++;
        missed += squares;
        return;
      }
      extract(arena, new LoraNames.Layer(component, layer), change);
    }
  }

  /** The layer whose weight this is; empty if a LoRA has none of it. */
  private static String layer(Component component, String name) {
    String ours = WeightNames.ours(component, name);
    String end = ModelLayers.weightOf("");
    boolean has = ours.endsWith(end) && LAYERS.matcher(ours).matches();
    return has ? ours.substring(0, ours.length() - end.length()) : "";
  }

  private void extract(Arena arena, LoraNames.Layer layer, Tensor change) {
    long[] shape = change.shape();
    long columns = change.count() / shape[0];
    int own = (int) Math.min(rank, Math.min(shape[0], columns));
    Tensor[] factors = LowRank.factors(change.arena(), change, own);
    Tensor up = arena.allocate("up", type, shape[0], own);
    up.copyFrom(factors[0]);
    shape[0] = own;
    Tensor down = arena.allocate("down", type, shape);
    down.copyFrom(factors[1].reshaped(shape));
    contents.add(layer, LoraFactor.DOWN, down.shape(), a -> down);
    contents.add(layer, LoraFactor.UP, up.shape(), a -> up);
    contents.alpha(layer, own);
    Tensor kept = LowRank.product(change.arena(), up, down, change.shape());
    missed += LowRank.squares(LowRank.difference(change.arena(), change, kept));
  }
}
