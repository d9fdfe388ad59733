package dreambooth4j.pipeline;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.TextEncoderConfig;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Export;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.TokenEmbedding;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Vectors of the words that a model's source adds to its tokenizer: of each text encoder one table,
 * [tokens of all words, width], in a group of its own. So the text encoder's own table of tokens
 * stays as it is, and gradients and what an optimizer remembers are of these rows alone.
 */
final class WordVectors {
  private final List<TokenEmbedding> embeddings;
  private final Map<Component, Group> groups = new EnumMap<>(Component.class);

  WordVectors(List<TokenEmbedding> embeddings) {
    this.embeddings = embeddings;
  }

  /**
   * Declares those of a text encoder, if there are words.
   *
   * @param learnt how they learn; null where they do not
   * @param types of what learns
   */
  void declare(
      Component component,
      TextEncoderConfig config,
      Learning.@Nullable Words learnt,
      WeightTypes types) {
    int count = embeddings.stream().mapToInt(TokenEmbedding::vectors).sum();
    if (count == 0) {
      return;
    }
    Parameters parameters =
        learnt == null
            ? new Parameters(DType.F32)
            : new Parameters(types.trained(), types.masters());
    parameters.declare("embeddings.added_tokens.weight", count, config.width());
    groups.put(
        component,
        learnt == null
            ? new Group(component, parameters, 1, Export.NONE)
            : new Group(component, parameters, learnt.rateFactor(), learnt.export()));
  }

  /** All of them, a group for each text encoder. */
  List<Group> groups() {
    return List.copyOf(groups.values());
  }

  /** The table of a text encoder; null where there are no words. */
  @Nullable Parameter table(Component component) {
    Group group = groups.get(component);
    return group == null ? null : table(group);
  }

  private static Parameter table(Group group) {
    return group.parameters().all().get(0);
  }

  /** Gives them the numbers that the source says; {@code arena} holds one table at a time. */
  void fill(Arena arena) {
    for (Group group : groups.values()) {
      Parameter table = table(group);
      float[] values = new float[Math.toIntExact(table.count())];
      int at = 0;
      for (TokenEmbedding each : embeddings) {
        float[] own = Objects.requireNonNull(each.values().get(group.component()));
        System.arraycopy(own, 0, values, at, own.length);
        at += own.length;
      }
      Tensor vectors = arena.floats("vectors", values, table.fileShape());
      table.read(vectors);
      vectors.release();
      group.parameters().copyMasters();
    }
  }
}
