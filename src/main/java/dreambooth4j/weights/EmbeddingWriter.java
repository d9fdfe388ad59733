package dreambooth4j.weights;

import static java.util.stream.Collectors.joining;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Writes what textual inversion has learnt, a file for each word: {@code embeddings/WORD
 * .safetensors} with the word's vectors [n, width] under the word itself, which diffusers, A1111
 * and ComfyUI load; of SDXL under {@code clip_l} and {@code clip_g}.
 */
public final class EmbeddingWriter implements Export {
  private static final String FOLDER = "embeddings";

  private final List<TokenEmbedding> embeddings;
  private final String architecture;
  private final DType type;

  /**
   * A writer of the words of a model, in the order of their rows.
   *
   * @param type what the numbers are written in
   */
  public EmbeddingWriter(ModelSource model, DType type) {
    this.embeddings = model.embeddings();
    this.architecture =
        BaseKind.of(model, SaidPrediction.isVelocity(model)).architecture() + "/textual-inversion";
    this.type = type;
  }

  /**
   * Where a word's vectors lie: the file is named for its letters, digits, hyphens and underscores,
   * the first 50 of them, as names of files have up to 255 bytes.
   */
  public static Path file(Path output, String word) {
    String plain = word.replaceAll("[^\\p{L}\\p{N}_-]+", "-").replaceAll("^-+|-+$", "");
    plain = plain.codePoints().limit(50).mapToObj(Character::toString).collect(joining());
    return output.resolve(FOLDER).resolve((plain.isEmpty() ? "word" : plain) + ".safetensors");
  }

  @Override
  public Path result(Path output) {
    return file(output, embeddings.get(0).token());
  }

  @Override
  public void hand(
      NewFiles files, Arena arena, List<Group> groups, Map<String, String> notes, Path output) {
    int from = 0;
    for (TokenEmbedding each : embeddings) {
      SafetensorsWriter writer =
          new SafetensorsWriter()
              .metadata("modelspec.sai_model_spec", "1.0.0")
              .metadata("modelspec.architecture", architecture)
              .metadata("modelspec.title", each.token())
              .metadata(EmbeddingFile.WORD, each.token());
      new TreeMap<>(notes).forEach(writer::metadata);
      for (Group group : groups) {
        String name = groups.size() == 1 ? each.token() : EmbeddingFile.ofSdxl(group.component());
        add(writer, name, group.parameters().all().get(0), from, each.vectors());
      }
      files.add(file(output, each.token()), writer.body(arena));
      from += each.vectors();
    }
  }

  private void add(SafetensorsWriter writer, String name, Parameter table, int from, int count) {
    long width = table.fileShape()[1];
    writer.add(
        name,
        type,
        new long[] {count, width},
        scratch -> {
          Tensor rows = scratch.allocate(name, type, count, width);
          Tensor saved = table.saved().rows(from, count);
          rows.copyFrom(saved);
          saved.release();
          return rows;
        });
  }
}
