package dreambooth4j.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Printable;
import dreambooth4j.Problem;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Refuses a {@code tokenizer.json} with parts that CLIP's tokenizers do not have. The library that
 * reads it is native code: of some parts it ends the process, and expressions of one's own can keep
 * it busy for ever.
 */
final class TokenizerParts {
  private static final Set<String> PLAIN_NORMALIZERS =
      Set.of("NFC", "NFD", "NFKC", "NFKD", "Lowercase");

  /** The alternatives of the expression that finds words, as any version of CLIP writes them. */
  private static final Set<String> WORDS =
      Set.of(
          "<\\|startoftext\\|>",
          "<\\|endoftext\\|>",
          "'s",
          "'t",
          "'re",
          "'ve",
          "'m",
          "'ll",
          "'d",
          "[\\p{L}]+",
          "\\p{L}+",
          "[\\p{N}]",
          "\\p{N}",
          "[\\p{N}]+",
          "\\p{N}+",
          "[^\\s\\p{L}\\p{N}]+");

  private static final Pattern BETWEEN_WORDS = Pattern.compile("(?<!\\\\)\\|");

  private static final Set<String> BEHAVIORS =
      Set.of("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous");

  /** As far as a text encoder's embedding may reach. */
  static final int MOST_IDS = 1 << 20;

  /**
   * CLIP has two, textual inversions bring some dozens. The library takes the square of their
   * number and of their length to read them.
   */
  private static final int MOST_ADDED = 1000;

  private static final int LONGEST_ADDED = 1000;

  private final String where;

  private TokenizerParts(String where) {
    this.where = where;
  }

  /**
   * Checks all parts, and leaves out those that have no effect here.
   *
   * @param where names the file in errors
   * @throws Problem that names the first part that is no part of a CLIP tokenizer
   */
  static void check(ObjectNode root, String where) {
    TokenizerParts parts = new TokenizerParts(where);
    parts.normalizer("normalizer", root.path("normalizer"));
    parts.preTokenizer("pre_tokenizer", root.path("pre_tokenizer"));
    parts.model(root.path("model"));
    parts.addedTokens(root.path("added_tokens"));
    if (!root.path("added_tokens").isArray()) {
      root.putArray("added_tokens");
    }
    // We frame the tokens ourselves and decode none.
    root.putNull("post_processor").putNull("decoder");
  }

  private void normalizer(String key, JsonNode part) {
    if (isLeftOut(part)) {
      return;
    }
    String type = part.path("type").asText();
    if (type.equals("Sequence")) {
      sequence(key, part.path("normalizers"), this::normalizer);
    } else if (type.equals("Replace")) {
      expect(key + ".pattern", part.path("pattern"), "{\"Regex\":\"\\\\s+\"}"::equals);
      expect(key + ".content", part.path("content"), "\" \""::equals);
    } else if (!PLAIN_NORMALIZERS.contains(type)) {
      throw foreign(key + ".type", part.path("type"));
    }
  }

  private void preTokenizer(String key, JsonNode part) {
    if (isLeftOut(part)) {
      return;
    }
    String type = part.path("type").asText();
    switch (type) {
      case "Sequence" -> sequence(key, part.path("pretokenizers"), this::preTokenizer);
      case "Split" -> split(key, part);
      case "ByteLevel" -> {
        flag(key + ".add_prefix_space", part.path("add_prefix_space"));
        flag(key + ".trim_offsets", part.path("trim_offsets"));
        flag(key + ".use_regex", part.path("use_regex"));
      }
      default -> throw foreign(key + ".type", part.path("type"));
    }
  }

  private void split(String key, JsonNode part) {
    JsonNode pattern = part.path("pattern").path("Regex");
    for (String word : BETWEEN_WORDS.split(pattern.asText(), -1)) {
      if (!WORDS.contains(word)) {
        throw foreign(key + ".pattern", pattern);
      }
    }
    if (!BEHAVIORS.contains(part.path("behavior").asText())) {
      throw foreign(key + ".behavior", part.path("behavior"));
    }
    flag(key + ".invert", part.path("invert"));
  }

  private interface Part {
    void check(String key, JsonNode part);
  }

  private void sequence(String key, JsonNode parts, Part each) {
    if (!parts.isArray() || parts.size() > 8) {
      throw foreign(key, parts);
    }
    for (JsonNode part : parts) {
      if (part.path("type").asText().equals("Sequence")) {
        throw foreign(key, part);
      }
      each.check(key, part);
    }
  }

  private void model(JsonNode model) {
    expect("model.type", model.path("type"), type -> type.isEmpty() || type.equals("\"BPE\""));
    expect(
        "model.dropout", model.path("dropout"), value -> value.isEmpty() || value.equals("null"));
    for (String key : new String[] {"fuse_unk", "byte_fallback", "ignore_merges"}) {
      flag("model." + key, model.path(key));
    }
    // With one, the library cuts the second half of each merge without looking, and ends the
    // process.
    expect(
        "model.continuing_subword_prefix",
        model.path("continuing_subword_prefix"),
        value -> value.isEmpty() || value.equals("null") || value.equals("\"\""));
    for (String key : new String[] {"unk_token", "end_of_word_suffix"}) {
      JsonNode value = model.path(key);
      if (!value.isTextual() && !isLeftOut(value)) {
        throw foreign("model." + key, value);
      }
    }
    if (!model.path("merges").isArray()) {
      throw foreign("model.merges", model.path("merges"));
    }
    JsonNode vocabulary = model.path("vocab");
    if (!vocabulary.isObject() || vocabulary.isEmpty()) {
      throw foreign("model.vocab", vocabulary);
    }
    Set<Integer> seen = new HashSet<>();
    for (Map.Entry<String, JsonNode> token : vocabulary.properties()) {
      String key = "model.vocab \"%s\"".formatted(Printable.shortened(token.getKey()));
      if (!seen.add(id(key, token.getValue()))) {
        throw Problem.data(
            "%s: %s has the number %s, as another token has"
                .formatted(where, key, token.getValue()));
      }
    }
  }

  /** Refuses a special token that is too long to be one. */
  static void requireShort(String where, String token) {
    if (token.length() > LONGEST_ADDED) {
      throw Problem.data(
          "%s: expected a special token of at most %d letters, found %d: %s"
              .formatted(where, LONGEST_ADDED, token.length(), Printable.shortened(token)));
    }
  }

  private void addedTokens(JsonNode tokens) {
    if (!isLeftOut(tokens) && !(tokens.isArray() && tokens.size() <= MOST_ADDED)) {
      throw foreign("added_tokens", tokens);
    }
    for (JsonNode token : tokens) {
      JsonNode content = token.path("content");
      int length = content.asText().length();
      if (!content.isTextual() || length == 0 || length > LONGEST_ADDED) {
        throw foreign("added_tokens.content", content);
      }
      id("added_tokens.id", token.path("id"));
      for (String key : new String[] {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
        flag("added_tokens." + key, token.path(key));
      }
    }
  }

  private int id(String key, JsonNode value) {
    if (!value.isInt() || value.intValue() < 0 || value.intValue() >= MOST_IDS) {
      throw Problem.data(
          "%s: %s: expected a number from 0 to %d, found %s"
              .formatted(where, key, MOST_IDS - 1, shown(value)));
    }
    return value.intValue();
  }

  private void flag(String key, JsonNode value) {
    if (!value.isBoolean() && !isLeftOut(value)) {
      throw foreign(key, value);
    }
  }

  /** The value's JSON text, empty where there is none, must be what is expected. */
  private void expect(String key, JsonNode value, Predicate<String> expected) {
    if (!expected.test(value.isMissingNode() ? "" : value.toString())) {
      throw foreign(key, value);
    }
  }

  private static boolean isLeftOut(JsonNode value) {
    return value.isMissingNode() || value.isNull();
  }

  private Problem foreign(String key, JsonNode value) {
    return Problem.data(
        "%s: %s: expected what CLIP's tokenizers have there, found %s. Take the tokenizer folder of the model's own family."
            .formatted(where, key, shown(value)));
  }

  private static String shown(JsonNode value) {
    return value.isMissingNode() ? "nothing" : Printable.shortened(value);
  }
}
