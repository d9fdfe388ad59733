package dreambooth4j.weights;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.PromptWord;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.Map;
import java.util.TreeMap;

/**
 * A word that a model's tokenizer lacks, and what its text encoders read in its place: one or
 * several vectors of each. It is what textual inversion learns.
 *
 * @param token the word
 * @param vectors how many each text encoder has of it: the word is so many tokens of a prompt
 * @param values by text encoder, one vector behind the other
 */
public record TokenEmbedding(String token, int vectors, Map<Component, float[]> values) {
  /** As many as a prompt has tokens. */
  public static final int MOST_VECTORS = 75;

  private static final String TABLE = "embeddings.token_embedding.weight";

  /**
   * Checks it.
   *
   * @throws Problem when the word is none that a prompt can hold
   */
  public TokenEmbedding {
    if (!PromptWord.is(token)) {
      throw Problem.usage(
          "%s: an embedding's word is %s: give another"
              .formatted(Printable.shortened(token), PromptWord.RULE));
    }
    if (vectors < 1 || vectors > MOST_VECTORS) {
      throw Problem.data(
          "%s: expected an embedding of 1 to %d vectors, found %d"
              .formatted(token, MOST_VECTORS, vectors));
    }
    values = Map.copyOf(values);
  }

  /** Zeros for all text encoders of a model, for whoever needs no more than the sizes. */
  public static TokenEmbedding zeros(String token, int vectors, Map<Component, Integer> widths) {
    Map<Component, float[]> values = new TreeMap<>();
    widths.forEach((component, width) -> values.put(component, new float[vectors * width]));
    return new TokenEmbedding(token, vectors, values);
  }

  /**
   * Rows of the table of tokens of a model's text encoder, one behind the other.
   *
   * @throws Problem when the model cannot be read
   */
  public static float[] rowsOf(ModelSource model, Component textEncoder, long[] ids) {
    try (TensorSource weights = model.weights(textEncoder);
        Arena arena = Arena.open("token table")) {
      String name = WeightNames.fileNames(textEncoder, weights).getOrDefault(TABLE, TABLE);
      TensorInfo info = weights.info(name);
      Tensor table = weights.read(arena, name);
      Tensor rows = arena.allocate("rows", DType.F32, ids.length, info.shape().get(1));
      for (int i = 0; i < ids.length; i++) {
        rows.rows(i, 1).copyFrom(table.rows(ids[i], 1));
      }
      return rows.toFloats();
    }
  }
}
