package dreambooth4j.weights;

import java.util.List;
import java.util.Map;

/** Names of a text encoder's parts, without the {@code text_model.} that some generations have. */
final class TextNames {
  private static final Map<String, String> LAYER =
      Map.of(
          "layer_norm1", "ln_1",
          "layer_norm2", "ln_2",
          "self_attn.out_proj", "attn.out_proj",
          "mlp.fc1", "mlp.c_fc",
          "mlp.fc2", "mlp.c_proj");

  private static final Map<String, Layout> PROJECTIONS =
      Map.of("q", Layout.FIRST_THIRD, "k", Layout.SECOND_THIRD, "v", Layout.LAST_THIRD);

  private TextNames() {}

  /**
   * OpenAI's CLIP, in SD 1 and as SDXL's first: transformers' own names, of which older files lack
   * the beginning.
   */
  static NameTable clip() {
    NameTable table = new NameTable();
    for (String part : List.of("embeddings", "encoder", "final_layer_norm")) {
      table.add(part, "text_model." + part).alias(part, part);
    }
    return table;
  }

  /** open_clip, in SD 2 and, with a projection, as SDXL's second: with so many layers. */
  static NameTable openClip(int layers, boolean projects) {
    NameTable table =
        new NameTable()
            .add("embeddings.token_embedding", "token_embedding")
            .add("embeddings.position_embedding.weight", "positional_embedding")
            .add("final_layer_norm", "ln_final");
    if (projects) {
      table.add("text_projection.weight", "text_projection", Layout.TRANSPOSED);
    }
    for (int i = 0; i < layers; i++) {
      String ours = "encoder.layers." + i;
      String theirs = "transformer.resblocks." + i;
      table.addAll(ours, theirs, LAYER);
      for (String kind : List.of("weight", "bias")) {
        PROJECTIONS.forEach(
            (projection, layout) ->
                table.add(
                    "%s.self_attn.%s_proj.%s".formatted(ours, projection, kind),
                    "%s.attn.in_proj_%s".formatted(theirs, kind),
                    layout));
      }
    }
    return table;
  }
}
