package dreambooth4j.model;

import dreambooth4j.weights.TokenEmbedding;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Words that have tokens of their own beside a tokenizer's, in either case of letters: transformers
 * reads words so that were added to its tokenizer. A word that begins or ends with a letter or a
 * digit is none within another one.
 */
public final class AddedTokens {
  /** No words. */
  public static final AddedTokens NONE = of(List.of());

  /** A word's tokens: the first, counted from the first of all words, and how many. */
  private record Rows(int first, int count) {}

  /**
   * A part of a text.
   *
   * @param start where it begins
   * @param first of a word, the number of its first token among those that were added
   * @param count of a word, how many it has; 0 for what the tokenizer reads
   */
  record Piece(String text, int start, int first, int count) {
    boolean isAdded() {
      return count > 0;
    }
  }

  private final Map<String, Rows> words = new LinkedHashMap<>();
  private final Pattern pattern;
  private int count;

  private AddedTokens(List<TokenEmbedding> embeddings) {
    for (TokenEmbedding each : embeddings) {
      words.put(key(each.token()), new Rows(count, each.vectors()));
      count += each.vectors();
    }
    pattern =
        Pattern.compile(
            words.keySet().stream()
                .sorted((a, b) -> b.length() - a.length()) // the longer is not cut by the shorter
                .map(AddedTokens::alone)
                .collect(Collectors.joining("|")),
            Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE);
  }

  /** The words of these embeddings, whose vectors lie one behind the other. */
  public static AddedTokens of(List<TokenEmbedding> embeddings) {
    return new AddedTokens(embeddings);
  }

  private static String key(String word) {
    return word.toLowerCase(Locale.ROOT);
  }

  private static String alone(String word) {
    String letter = "[\\p{L}\\p{N}_]";
    boolean begins = word.substring(0, 1).matches(letter);
    boolean ends = word.substring(word.length() - 1).matches(letter);
    return (begins ? "(?<!" + letter + ")" : "")
        + Pattern.quote(word)
        + (ends ? "(?!" + letter + ")" : "");
  }

  /** Tokens of all words together: rows of a table of vectors. */
  public int count() {
    return count;
  }

  /** Whether a text has one of the words. */
  public boolean areIn(String text) {
    return count > 0 && pattern.matcher(text).find();
  }

  /** The text in order: what lies between the words, and the words. */
  List<Piece> pieces(String text) {
    List<Piece> pieces = new ArrayList<>();
    int from = 0;
    if (count > 0) {
      Matcher word = pattern.matcher(text);
      while (word.find()) {
        Rows rows = words.get(key(word.group()));
        if (rows == null) {
          continue; // letters whose small ones are others than the word's
        }
        pieces.add(new Piece(text.substring(from, word.start()), from, 0, 0));
        pieces.add(new Piece(word.group(), word.start(), rows.first, rows.count));
        from = word.end();
      }
    }
    pieces.add(new Piece(text.substring(from), from, 0, 0));
    return pieces;
  }
}
