package dreambooth4j.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.weights.JsonFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A CLIP tokenizer as a {@code tokenizer.json}, which the library reads: the folder's own, or one
 * made of {@code vocab.json} and {@code merges.txt} as transformers makes it.
 */
final class TokenizerJson {
  private static final String WORDS =
      "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

  private final Path file;
  private final ObjectNode root;

  private TokenizerJson(Path file, ObjectNode root) {
    this.file = file;
    this.root = root;
  }

  /**
   * Reads a tokenizer's folder.
   *
   * @throws Problem when it holds neither form, or a damaged one
   */
  static TokenizerJson read(Path folder) {
    Path whole = folder.resolve("tokenizer.json");
    Path vocabulary = folder.resolve("vocab.json");
    Path merges = folder.resolve("merges.txt");
    if (Files.isRegularFile(whole)) {
      ObjectNode root = JsonFile.read(whole);
      // Callers pad and cut.
      root.putNull("truncation");
      root.putNull("padding");
      return new TokenizerJson(whole, root);
    }
    if (Files.isRegularFile(vocabulary) && Files.isRegularFile(merges)) {
      return new TokenizerJson(vocabulary, assembled(JsonFile.read(vocabulary), merges(merges)));
    }
    throw Problem.data(
        folder + ": expected tokenizer.json, or vocab.json and merges.txt, found neither");
  }

  private static ArrayNode merges(Path file) {
    List<String> lines;
    try {
      lines = Files.readAllLines(file);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, file + ": cannot be read: " + e, e);
    }
    ArrayNode merges = JsonNodeFactory.instance.arrayNode();
    for (String line : lines) {
      if (!line.isBlank() && !line.startsWith("#version")) {
        merges.add(line.strip());
      }
    }
    return merges;
  }

  private static ObjectNode assembled(ObjectNode vocabulary, ArrayNode merges) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("version", "1.0").putNull("truncation").putNull("padding");
    root.putArray("added_tokens");
    ObjectNode normalizer = root.putObject("normalizer").put("type", "Sequence");
    ArrayNode normalizers = normalizer.putArray("normalizers");
    normalizers.addObject().put("type", "NFC");
    ObjectNode spaces = normalizers.addObject().put("type", "Replace").put("content", " ");
    spaces.putObject("pattern").put("Regex", "\\s+");
    normalizers.addObject().put("type", "Lowercase");

    ObjectNode preTokenizer = root.putObject("pre_tokenizer").put("type", "Sequence");
    ArrayNode preTokenizers = preTokenizer.putArray("pretokenizers");
    ObjectNode words = preTokenizers.addObject().put("type", "Split");
    words.putObject("pattern").put("Regex", WORDS);
    words.put("behavior", "Removed").put("invert", true);
    ObjectNode bytes = preTokenizers.addObject().put("type", "ByteLevel");
    bytes.put("add_prefix_space", false).put("trim_offsets", true).put("use_regex", true);

    ObjectNode model = root.putObject("model").put("type", "BPE");
    model.putNull("dropout").put("unk_token", "<|endoftext|>");
    model.put("continuing_subword_prefix", "").put("end_of_word_suffix", "</w>");
    model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
    model.set("vocab", vocabulary);
    model.set("merges", merges);
    root.putNull("post_processor").putNull("decoder");
    return root;
  }

  /**
   * The number of a special token, which from now on is one wherever a text has it: transformers
   * treats even a plain character so, such as the {@code !} with which Stable Diffusion 2 pads.
   *
   * @throws Problem when the vocabulary lacks it
   */
  long special(String token) {
    ArrayNode added = root.withArrayProperty("added_tokens");
    for (JsonNode each : added) {
      if (each.path("content").asText().equals(token)) {
        return each.path("id").asLong();
      }
    }
    JsonNode id = root.path("model").path("vocab").path(token);
    if (!id.isIntegralNumber()) {
      throw Problem.data("%s: expected the special token %s, found none".formatted(file, token));
    }
    ObjectNode entry = added.addObject().put("id", id.asLong()).put("content", token);
    entry.put("single_word", false).put("lstrip", false).put("rstrip", false);
    entry.put("normalized", false).put("special", true);
    return id.asLong();
  }

  /** The file that it came from. */
  Path file() {
    return file;
  }

  /** The text of the {@code tokenizer.json}. */
  String text() {
    return root.toString();
  }
}
