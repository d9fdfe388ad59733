package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.pipeline.NewWords;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
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
    ModelSource reads = model;
    for (String each : given) {
      int equals = each.indexOf('=');
      Path whole = PathArgument.of(each);
      boolean worded = equals > 0 && !Files.exists(whole);
      Path file = worded ? PathArgument.of(each.substring(equals + 1)) : whole;
      if (!Files.isRegularFile(file)) {
        throw Problem.data("--embedding %s: expected a file, found none".formatted(each));
      }
      String word = worded ? each.substring(0, equals) : null;
      reads = NewWords.of(reads, Collections.singletonMap(file, word));
    }
    return reads;
  }
}
