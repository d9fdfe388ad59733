package dreambooth4j.config.imports;

import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The command line of a training script, as it stands in a shell script or a text file: continued
 * over lines by a backslash (or Windows' ^), with quotes, comments, and variables that the same
 * file sets.
 *
 * @param script the name of the Python script; empty if there is none
 * @param flags its flags without dashes, each with what follows it
 */
record CommandLineFile(String script, Map<String, List<String>> flags) {
  private static final Pattern ASSIGNMENT =
      Pattern.compile("(?:export\\s+|set\\s+)?([A-Za-z_]\\w*)=(.*)");
  private static final Pattern VARIABLE =
      Pattern.compile("\\$\\{?([A-Za-z_]\\w*)}?|%([A-Za-z_]\\w*)%");
  private static final Pattern NEGATIVE_NUMBER = Pattern.compile("-\\d.*");

  /**
   * Reads the first command line with flags.
   *
   * @throws Problem if there is none
   */
  static CommandLineFile parse(Path file, String text) {
    Map<String, String> variables = new HashMap<>();
    String joined = text.replaceAll("(?m)[\\\\^`][ \\t]*\\r?\\n", " ");
    for (String line : joined.lines().toList()) {
      List<String> words = words(line, variables);
      if (words.isEmpty()) {
        continue;
      }
      if (words.stream().anyMatch(word -> word.startsWith("--"))) {
        return of(words);
      }
      Matcher assignment = ASSIGNMENT.matcher(String.join(" ", words));
      if (assignment.matches()) {
        variables.put(assignment.group(1), assignment.group(2));
      }
    }
    throw Problem.usage(
        file
            + " is neither a TOML file, a JSON file nor the command line of a training script:"
            + " there is no flag such as --train_data_dir in it");
  }

  private static CommandLineFile of(List<String> words) {
    int python = 0;
    String script = "";
    for (int i = 0; i < words.size(); i++) {
      if (words.get(i).endsWith(".py")) {
        script = words.get(i).replaceFirst(".*[/\\\\]", "");
        python = i + 1; // what stands before it are flags of accelerate
        break;
      }
    }
    Map<String, List<String>> flags = new LinkedHashMap<>();
    List<String> values = new ArrayList<>();
    for (String word : words.subList(python, words.size())) {
      if (word.matches("&&|;|\\|\\|?|>|2>|>>")) {
        break;
      }
      if (word.startsWith("--")) {
        int equals = word.indexOf('=');
        values = new ArrayList<>();
        flags.put(word.substring(2, equals < 0 ? word.length() : equals).replace('-', '_'), values);
        if (equals >= 0) {
          values.add(word.substring(equals + 1));
        }
      } else if (!word.startsWith("-") || NEGATIVE_NUMBER.matcher(word).matches()) {
        values.add(word);
      }
    }
    flags.values().stream().filter(List::isEmpty).forEach(each -> each.add("true"));
    return new CommandLineFile(script, flags);
  }

  /** The words of a line as a shell would see them, up to a comment. */
  private static List<String> words(String line, Map<String, String> variables) {
    List<String> words = new ArrayList<>();
    StringBuilder word = new StringBuilder();
    boolean inWord = false;
    char quote = 0;
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (quote != 0) {
        if (c == quote) {
          quote = 0;
        } else {
          word.append(c);
        }
      } else if (c == '"' || c == '\'') {
        quote = c;
        inWord = true;
      } else if (c == '#' && !inWord) {
        break;
      } else if (Character.isWhitespace(c)) {
        if (inWord) {
          words.add(expanded(word.toString(), variables));
        }
        word.setLength(0);
        inWord = false;
      } else {
        word.append(c);
        inWord = true;
      }
    }
    if (inWord) {
      words.add(expanded(word.toString(), variables));
    }
    return words;
  }

  private static String expanded(String word, Map<String, String> variables) {
    return VARIABLE
        .matcher(word)
        .replaceAll(
            found -> {
              String name = found.group(1) == null ? found.group(2) : found.group(1);
              return Matcher.quoteReplacement(variables.getOrDefault(name, found.group()));
            });
  }
}
