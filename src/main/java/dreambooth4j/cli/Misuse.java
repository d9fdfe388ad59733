package dreambooth4j.cli;

import dreambooth4j.Nearest;
import dreambooth4j.Printable;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** What is wrong with a command line, and what was probably meant, in a sentence. */
final class Misuse {
  /** What the library says of it. */
  private static final String MISSING = "Missing required subcommand";

  private static final int LEAST_TO_GUESS = 3;

  private Misuse() {}

  static String explained(ParameterException error) {
    CommandLine line = error.getCommandLine();
    boolean isRoot = line.getParent() == null;
    List<String> unmatched =
        error instanceof UnmatchedArgumentException of ? of.getUnmatched() : List.of();
    if (unmatched.isEmpty()) {
      return MISSING.equals(error.getMessage())
          ? "a command is missing: one of " + String.join(", ", line.getSubcommands().keySet())
          : Printable.text(String.valueOf(error.getMessage()));
    }
    String first = unmatched.get(0);
    if (first.startsWith("-")) {
      String name = first.replaceFirst("=.*", "");
      return "there is no option " + guessed(name, line.getCommandSpec().optionsMap().keySet());
    }
    return isRoot
        ? "there is no command " + guessed(first, line.getSubcommands().keySet())
        : "'%s' is one argument too many; words that belong together are put in quotes"
            .formatted(Printable.shortened(Printable.line(first)));
  }

  private static String guessed(String word, Collection<String> known) {
    String shown = Printable.shortened(Printable.line(word));
    List<String> longNames = known.stream().filter(name -> !name.matches("-[^-].*|-")).toList();
    String name = plain(word);
    Optional<String> meant =
        name.length() < LEAST_TO_GUESS
            ? Optional.empty()
            : Nearest.word(name, longNames.stream().map(Misuse::plain).toList());
    return shown
        + meant
            .flatMap(near -> longNames.stream().filter(n -> plain(n).equals(near)).findFirst())
            .map(". Did you mean %s?"::formatted)
            .orElse("");
  }

  private static String plain(String name) {
    return name.replaceFirst("^--?", "").replace('-', '_');
  }
}
