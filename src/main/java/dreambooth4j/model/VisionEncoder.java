package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.Concat;
import dreambooth4j.engine.op.IndexSelect;
import dreambooth4j.engine.op.Reshape;
import dreambooth4j.engine.op.ScaleChannels;
import dreambooth4j.engine.op.UpsampleBicubic;
import dreambooth4j.model.VisionConfig.Kind;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * transformers' {@code CLIPVisionModelWithProjection} or {@code Dinov2Model}: a picture to one
 * vector of what it shows. For inference alone.
 */
public final class VisionEncoder {
  private static final AttentionLayer.Names DINO =
      new AttentionLayer.Names(
          "attention.query", "attention.key", "attention.value", "output.dense", true);

  private final VisionConfig config;
  private final Parameter first;
  private final Parameter patchWeight;
  private final @Nullable Parameter patchBias;
  private final Parameter positions;
  private final @Nullable TokenNorm normBefore;
  private final List<Layer> layers = new ArrayList<>();
  private final TokenNorm normAfter;
  private final @Nullable Dense projection;

  /** Declares its weights under the names that transformers writes. */
  public VisionEncoder(VisionConfig config, Parameters parameters) {
    this.config = config;
    boolean clip = config.kind() == Kind.CLIP;
    int width = config.width();
    int places = config.patches() * config.patches() + 1;
    Scope top = Scope.of(parameters);
    Scope scope = clip ? top.in("vision_model") : top;
    Scope embeddings = scope.in("embeddings");
    Scope patch = embeddings.in(clip ? "patch_embedding" : "patch_embeddings.projection");
    patchWeight = patch.parameter("weight", width, 3, config.patch(), config.patch());
    patchBias = clip ? null : patch.parameter("bias", width);
    if (clip) {
      first = embeddings.parameter("class_embedding", width);
      positions = embeddings.parameter("position_embedding.weight", places, width);
      normBefore = scope.tokenNorm("pre_layrnorm", width, config.normEpsilon());
    } else {
      first = embeddings.parameter("cls_token", 1, 1, width);
      positions = embeddings.parameter("position_embeddings", 1, places, width);
      normBefore = null;
    }
    for (int i = 0; i < config.layers(); i++) {
      layers.add(new Layer(scope.in(clip ? "encoder.layers" : "encoder.layer", i), config));
    }
    normAfter = scope.tokenNorm(clip ? "post_layernorm" : "layernorm", width, config.normEpsilon());
    projection = clip ? top.dense("visual_projection", width, config.projected(), false) : null;
  }

  /**
   * What a picture shows: CLIP's projected image embedding, or DINOv2's normalised class token.
   *
   * @param picture normalised as the model wants it, [1, H, W, 3]
   * @return [1, features]
   */
  public Var forward(Tape tape, Var picture) {
    int width = config.width();
    Var patches = new Conv.Plain(patchWeight, patchBias, config.patch(), 0).forward(tape, picture);
    Var x = behind(tape, first.weight(), patches);
    x = Add.apply(tape, x, places(tape, patches.size(1), patches.size(2)));
    if (normBefore != null) {
      x = normBefore.forward(tape, x);
    }
    for (Layer layer : layers) {
      x = layer.forward(tape, x);
    }
    Tensor place = tape.arena().longs("class place", new long[] {0}, 1);
    Var token = normAfter.forward(tape, IndexSelect.apply(tape, x, place));
    place.release();
    Var said = Reshape.apply(tape, token, 1, width);
    return projection == null ? said : projection.forward(tape, said);
  }

  /**
   * The positions of so many patches, behind the class token's own: [1, 1 + rows × columns, width].
   * Those of another grid than the model's lie between its own, as in transformers.
   */
  private Var places(Tape tape, long rows, long columns) {
    long side = config.patches();
    Tensor all = positions.weight().reshaped(1 + side * side, config.width());
    Tensor own = all.rows(0, 1);
    Tensor grid = all.rows(1, side * side);
    Var patches = Reshape.apply(tape, tape.constant(grid), 1, side, side, config.width());
    if (rows != side || columns != side) {
      patches = UpsampleBicubic.apply(tape, patches, rows, columns);
    }
    Var places = behind(tape, own, patches);
    for (Tensor view : List.of(grid, own, all)) {
      view.release();
    }
    return places;
  }

  /** Vectors of patches [1, rows, columns, width] behind one: [1, 1 + rows × columns, width]. */
  private Var behind(Tape tape, Tensor one, Var patches) {
    long count = patches.size(1) * patches.size(2);
    Var start = Reshape.apply(tape, tape.constant(one), 1, config.width());
    Var flat = Reshape.apply(tape, patches, 1, count * config.width());
    return Reshape.apply(tape, Concat.apply(tape, start, flat), 1, 1 + count, config.width());
  }

  private static final class Layer {
    private final TokenNorm norm1;
    private final AttentionLayer attention;
    private final @Nullable Parameter scale1;
    private final TokenNorm norm2;
    private final FeedForward feed;
    private final @Nullable Parameter scale2;

    Layer(Scope scope, VisionConfig config) {
      int width = config.width();
      boolean clip = config.kind() == Kind.CLIP;
      norm1 = scope.tokenNorm(clip ? "layer_norm1" : "norm1", width, config.normEpsilon());
      attention =
          AttentionLayer.of(
              scope.in(clip ? "self_attn" : "attention"),
              clip ? AttentionLayer.Names.CLIP : DINO,
              width,
              width,
              config.heads());
      scale1 = clip ? null : scope.parameter("layer_scale1.lambda1", width);
      norm2 = scope.tokenNorm(clip ? "layer_norm2" : "norm2", width, config.normEpsilon());
      feed = FeedForward.of(scope, width, config.feedWidth(), config.activation());
      scale2 = clip ? null : scope.parameter("layer_scale2.lambda1", width);
    }

    Var forward(Tape tape, Var tokens) {
      Var normed = norm1.forward(tape, tokens);
      Var attended = scaled(tape, attention.forward(tape, normed, normed, false), scale1);
      Var x = Add.apply(tape, tokens, attended);
      Var fed = feed.forward(tape, norm2.forward(tape, x));
      return Add.apply(tape, x, scaled(tape, fed, scale2));
    }

    private static Var scaled(Tape tape, Var x, @Nullable Parameter scale) {
      return scale == null ? x : ScaleChannels.apply(tape, x, scale);
    }
  }
}
