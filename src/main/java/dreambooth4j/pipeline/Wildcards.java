package dreambooth4j.pipeline;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.random.CounterRandom;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What is drawn for a prompt: {@code {red|blue}} is one of what stands between the bars, {@code
 * __colour__} a line of the file {@code colour.txt}. The seed decides.
 */
public final class Wildcards {
  private static final Pattern CHOICE = Pattern.compile("\\{([^{}]*\\|[^{}]*)}");
  private static final Pattern FILE = Pattern.compile("__([\\w-]+?(?:/[\\w-]+?)*)__");
  private static final int MOST = 1000;
  private static final int LARGEST_BYTES = 1 << 20;

  private final @Nullable Path folder;
  private final CounterRandom random;
  private int drawn;

  private Wildcards(@Nullable Path folder, CounterRandom random) {
    this.folder = folder;
    this.random = random;
  }

  /**
   * The prompt with all of them drawn.
   *
   * @param folder where the files lie; null if there are none
   * @param row tells the draws of several prompts of one seed apart
   * @throws Problem if a file is missing or empty, or they name each other without end
   */
  public static String drawn(String prompt, @Nullable Path folder, long seed, int row) {
    return new Wildcards(folder, CounterRandom.at(seed, "wildcards", 0, row)).all(prompt);
  }

  private String all(String prompt) {
    String text = prompt;
    while (true) {
      Matcher choice = CHOICE.matcher(text);
      Matcher file = FILE.matcher(text);
      if (choice.find()) {
        text = replaced(text, choice, List.of(choice.group(1).split("\\|", -1)));
      } else if (file.find()) {
        text = replaced(text, file, lines(file.group(1)));
      } else {
        return text;
      }
    }
  }

  private String replaced(String text, Matcher found, List<String> choices) {
    if (++drawn > MOST) {
      throw Problem.usage(
          "the wildcards of '%s' never end: a file names itself"
              .formatted(Printable.shortened(text)));
    }
    String chosen = choices.get(random.uniformInt(choices.size())).strip();
    return text.substring(0, found.start()) + chosen + text.substring(found.end());
  }

  private List<String> lines(String name) {
    if (folder == null) {
      throw Problem.usage(
          "__%s__ stands for a line of %s.txt: name the folder that it lies in (wildcards_dir, or generate --wildcards)"
              .formatted(name, name));
    }
    Path file = folder.resolve(name + ".txt");
    if (!Files.isRegularFile(file)) {
      throw Problem.usage(
          "__%s__ stands for a line of %s, which is not there: write a possibility a line into it"
              .formatted(name, file));
    }
    List<String> lines =
        new String(RegularFile.bytes(file, LARGEST_BYTES), StandardCharsets.UTF_8)
            .lines()
            .filter(line -> !line.isBlank() && !line.startsWith("#"))
            .toList();
    if (lines.isEmpty()) {
      throw Problem.usage(file + " is empty: write a possibility a line into it");
    }
    return lines;
  }
}
