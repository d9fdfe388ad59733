package dreambooth4j.weights;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;

/**
 * The vocabulary of CLIP's tokenizer, which all Stable Diffusion models have: bundled, since single
 * files hold none. Tokens are bytes, bytes that end a word, and then what each merge makes.
 */
final class ClipVocabulary {
  private static final String RESOURCE = "clip-merges.txt.gz";
  private static final int BYTES = 256;

  private ClipVocabulary() {}

  /** The lines of {@code merges.txt}: a comment, then pairs in the order in which they merge. */
  static List<String> merges() {
    try (InputStream in =
            Objects.requireNonNull(ClipVocabulary.class.getResourceAsStream(RESOURCE));
        BufferedReader reader =
            new BufferedReader(
                new InputStreamReader(new GZIPInputStream(in), StandardCharsets.UTF_8))) {
      return reader.lines().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The content of {@code vocab.json}: 49,408 tokens and their numbers. */
  static ObjectNode tokens(List<String> merges) {
    List<String> bytes = bytes();
    ObjectNode tokens = JsonNodeFactory.instance.objectNode();
    bytes.forEach(each -> tokens.put(each, tokens.size()));
    bytes.forEach(each -> tokens.put(each + "</w>", tokens.size()));
    merges.stream()
        .filter(line -> !line.startsWith("#version"))
        .forEach(pair -> tokens.put(pair.replace(" ", ""), tokens.size()));
    tokens.put("<|startoftext|>", tokens.size());
    return tokens.put("<|endoftext|>", tokens.size());
  }

  /** A letter for each byte: its own where that can be seen, else one that is used nowhere. */
  private static List<String> bytes() {
    List<String> letters = new ArrayList<>();
    List<String> others = new ArrayList<>();
    for (int i = 0; i < BYTES; i++) {
      if ((i >= '!' && i <= '~') || (i >= '¡' && i <= '¬') || i >= '®') {
        letters.add(Character.toString(i));
      } else {
        others.add(Character.toString(BYTES + others.size()));
      }
    }
    letters.addAll(others);
    return letters;
  }
}
