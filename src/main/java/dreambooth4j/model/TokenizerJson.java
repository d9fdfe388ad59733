package dreambooth4j.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.weights.ComponentFiles;
import java.util.List;

/**
 * A CLIP tokenizer as a {@code tokenizer.json}, which the library reads: the model's own, or one
 * made of {@code vocab.json} and {@code merges.txt} as transformers makes it.
 */
final class TokenizerJson {
  private static final String WHOLE = "tokenizer.json";
  private static final String VOCABULARY = "vocab.json";
  private static final String MERGES = "merges.txt";
  private static final String WORDS =
      "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

  private final String where;
  private final ObjectNode root;

  private TokenizerJson(String where, ObjectNode root) {
    this.where = where;
    this.root = root;
    TokenizerParts.check(root, where);
  }

  /**
   * Reads a tokenizer's files.
   *
   * @throws Problem when they have neither form, or a damaged one
   */
  static TokenizerJson read(ComponentFiles files) {
    if (files.has(WHOLE)) {
      ObjectNode root = files.json(WHOLE);
      // Callers pad and cut.
      root.putNull("truncation");
      root.putNull("padding");
      return new TokenizerJson(files.where(WHOLE), root);
    }
    if (files.has(VOCABULARY) && files.has(MERGES)) {
      return new TokenizerJson(
          files.where(VOCABULARY), assembled(files.json(VOCABULARY), merges(files.lines(MERGES))));
    }
    throw Problem.data(
        "%s: expected it, or %s and %s beside it, found neither"
            .formatted(files.where(WHOLE), VOCABULARY, MERGES));
  }

  private static ArrayNode merges(List<String> lines) {
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
    TokenizerParts.requireShort(where, token);
    ArrayNode added = root.withArrayProperty("added_tokens");
    for (JsonNode each : added) {
      if (each.path("content").asText().equals(token)) {
        return each.path("id").asLong();
      }
    }
    JsonNode id = root.path("model").path("vocab").path(token);
    if (!id.isIntegralNumber()) {
      throw Problem.data(
          "%s: expected the special token %s, found none"
              .formatted(where, Printable.shortened(token)));
    }
    ObjectNode entry = added.addObject().put("id", id.asLong()).put("content", token);
    entry.put("single_word", false).put("lstrip", false).put("rstrip", false);
    entry.put("normalized", false).put("special", true);
    return id.asLong();
  }

  /**
   * Refuses tokens that a text encoder has no states for.
   *
   * @param vocabulary how many tokens it knows, numbered from 0
   * @param config names the file that says so
   */
  void requireWithin(int vocabulary, String config) {
    root.path("model")
        .path("vocab")
        .properties()
        .forEach(token -> requireWithin(token.getKey(), token.getValue(), vocabulary, config));
    for (JsonNode token : root.path("added_tokens")) {
      requireWithin(token.path("content").asText(), token.path("id"), vocabulary, config);
    }
  }

  private void requireWithin(String token, JsonNode id, int vocabulary, String config) {
    if (id.asInt() >= vocabulary) {
      throw Problem.data(
          "%s: the token %s has the number %s, but %s says that vocab_size is %d"
              .formatted(where, Printable.shortened(token), id, config, vocabulary));
    }
  }

  /** The file that it came from, in messages. */
  String where() {
    return where;
  }

  /** The text of the {@code tokenizer.json}. */
  String text() {
    return root.toString();
  }
}
