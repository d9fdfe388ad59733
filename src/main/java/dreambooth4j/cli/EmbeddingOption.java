package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.pipeline.NewWords;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The option --embedding: words beside the model's, each of a file. */
final class EmbeddingOption {
  @Option(
      names = "--embedding",
      paramLabel = "[WORD=]FILE",
      description =
          "Embedding of textual inversion, whose word a prompt may then have: a file of this"
              + " program, diffusers, kohya's scripts or A1111; WORD= before it gives it another"
              + " word. May be given several times.")
  private List<String> given = List.of();

  /**
   * A model that reads these words too.
   *
   * @throws Problem when a file is missing, or holds no embedding for this model
   */
  ModelSource in(ModelSource model) {
    Map<Path, @Nullable String> files = new LinkedHashMap<>();
    for (String each : given) {
      int equals = each.indexOf('=');
      Path whole = Main.path(each);
      boolean worded = equals > 0 && !Files.exists(whole);
      Path file = worded ? Main.path(each.substring(equals + 1)) : whole;
      if (!Files.isRegularFile(file)) {
        throw Problem.data("--embedding %s: expected a file, found none".formatted(each));
      }
      files.put(file, worded ? each.substring(0, equals) : null);
    }
    return NewWords.of(model, files);
  }
}
