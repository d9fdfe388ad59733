package dreambooth4j.pipeline;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A prompt whose words count more or less, by the rules of A1111's web UI: {@code (word)} counts
 * 1.1 times, {@code [word]} 1/1.1 times, {@code (word:1.2)} as often as it says; brackets may be
 * nested, and with a backslash before them they are themselves.
 *
 * @param pieces the prompt's text in order, neighbours of different weights
 */
record WeightedPrompt(List<Piece> pieces) {
  private static final double STEP = 1.1;

  private static final Pattern PART =
      Pattern.compile(
          "\\\\[()\\[\\]\\\\]|\\\\|\\(|\\[|:\\s*(?<weight>[+-]?(?:\\d+\\.?\\d*|\\.\\d+))\\s*\\)"
              + "|\\)|]|[^\\\\()\\[\\]:]+|:");

  /**
   * A part of the text.
   *
   * @param weight what its hidden states are multiplied with
   */
  record Piece(String text, double weight) {}

  /** Reads one. */
  static WeightedPrompt parse(String prompt) {
    List<Piece> parts = new ArrayList<>();
    Deque<Integer> round = new ArrayDeque<>();
    Deque<Integer> square = new ArrayDeque<>();
    Matcher part = PART.matcher(prompt);
    while (part.find()) {
      String text = part.group();
      String weight = part.group("weight");
      if (text.startsWith("\\")) {
        parts.add(new Piece(text.length() > 1 ? text.substring(1) : "", 1));
      } else if (text.equals("(")) {
        round.push(parts.size());
      } else if (text.equals("[")) {
        square.push(parts.size());
      } else if (weight != null && !round.isEmpty()) {
        multiply(parts, round.pop(), Double.parseDouble(weight));
      } else if (text.equals(")") && !round.isEmpty()) {
        multiply(parts, round.pop(), STEP);
      } else if (text.equals("]") && !square.isEmpty()) {
        multiply(parts, square.pop(), 1 / STEP);
      } else {
        parts.add(new Piece(text, 1));
      }
    }
    round.forEach(from -> multiply(parts, from, STEP)); // those that nobody closed
    square.forEach(from -> multiply(parts, from, 1 / STEP));
    return new WeightedPrompt(merged(parts));
  }

  private static void multiply(List<Piece> parts, int from, double weight) {
    for (int i = from; i < parts.size(); i++) {
      parts.set(i, new Piece(parts.get(i).text, parts.get(i).weight * weight));
    }
  }

  private static List<Piece> merged(List<Piece> parts) {
    List<Piece> merged = new ArrayList<>();
    for (Piece each : parts) {
      int last = merged.size() - 1;
      if (last >= 0 && merged.get(last).weight == each.weight) {
        merged.set(last, new Piece(merged.get(last).text + each.text, each.weight));
      } else if (!each.text.isEmpty()) {
        merged.add(each);
      }
    }
    return List.copyOf(merged);
  }

  /** The text without brackets and weights. */
  String plain() {
    return pieces.stream().map(Piece::text).collect(Collectors.joining());
  }

  /** Whether all of it counts once, so that it is a prompt as any other. */
  boolean isPlain() {
    return pieces.stream().allMatch(each -> each.weight == 1);
  }

  /** A text that is read as it stands: with a backslash before what would be a weight. */
  static String escaped(String text) {
    return text.replaceAll("[()\\[\\]\\\\]", "\\\\$0");
  }
}
