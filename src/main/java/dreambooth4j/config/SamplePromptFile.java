package dreambooth4j.config;

import dreambooth4j.Printable;
import dreambooth4j.RegularFile;
import dreambooth4j.diffusion.SamplerKind;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A file of sample prompts as kohya's scripts read it: a prompt a line, flags of one or two letters
 * behind it, lines that begin with # left out.
 *
 * <pre>
 * santa, man, snow --n blurry --w 512 --h 768 --d 7 --s 30 --l 7.5 --ss euler_a
 * </pre>
 */
final class SamplePromptFile {
  private static final int MOST_BYTES = 1 << 20;
  private static final Pattern FLAGS = Pattern.compile("(?:^|\\s)--(?=\\S)");
  private static final Pattern FLAG = Pattern.compile("([A-Za-z]+)(?:\\s+(.*))?");

  /** What kohya's scripts take where a line says nothing. */
  private static final int STEPS = 30;

  private static final double GUIDANCE = 7.5;
  private static final int MOST_GUIDANCE = 1000;

  /** Sides are whole numbers of latents. */
  private static final int FACTOR = 8;

  /** Flags of kohya's for models of other kinds. */
  private static final Set<String> OF_OTHER_MODELS = Set.of("g", "ctr", "rcfg", "fs");

  private static final String ALL =
      "--n negative prompt, --w width, --h height, --d seed, --s steps, --l guidance, --ss sampler";

  private final Path file;
  private final Consumer<String> errors;
  private final Consumer<String> remarks;
  private int number;

  private SamplePromptFile(Path file, Consumer<String> errors, Consumer<String> remarks) {
    this.file = file;
    this.errors = errors;
    this.remarks = remarks;
  }

  /**
   * Reads it.
   *
   * @param errors is told what is wrong, with file and line
   * @param remarks is told what has no effect
   * @throws dreambooth4j.Problem when it cannot be read
   */
  static List<SamplePrompt> read(Path file, Consumer<String> errors, Consumer<String> remarks) {
    return new SamplePromptFile(file, errors, remarks).read();
  }

  private List<SamplePrompt> read() {
    String text = RegularFile.text(file, MOST_BYTES).replaceFirst("^\uFEFF", "");
    List<SamplePrompt> prompts = new ArrayList<>();
    boolean empty = true;
    for (String line : text.lines().toList()) {
      number++;
      if (!line.isBlank() && !line.startsWith("#")) {
        empty = false;
        SamplePrompt prompt = prompt(line.strip());
        if (prompt != null) {
          prompts.add(prompt);
        }
      }
    }
    if (empty) {
      errors.accept("sample_prompts: %s holds no prompt: write one a line".formatted(file));
    }
    return List.copyOf(prompts);
  }

  private @Nullable SamplePrompt prompt(String line) {
    String[] parts = FLAGS.split(line, -1);
    if (parts[0].isBlank()) {
      wrong("there is no prompt before the flags");
      return null;
    }
    Map<String, String> flags = new HashMap<>();
    for (int i = 1; i < parts.length; i++) {
      Matcher flag = FLAG.matcher(parts[i].strip());
      String name = flag.matches() ? flag.group(1).toLowerCase(Locale.ROOT) : "";
      String value = name.isEmpty() || flag.group(2) == null ? "" : flag.group(2).strip();
      if (!isKnown(name)) {
        wrong("--" + parts[i].strip() + " is no flag of a sample prompt; there are " + ALL);
      } else if (value.isEmpty()) {
        wrong("--" + name + " has no value");
      } else if (flags.put(name, value) != null) {
        wrong("--" + name + " is given twice");
      }
    }
    return new SamplePrompt(
        number,
        parts[0].strip(),
        flags.getOrDefault("n", ""),
        side(flags, "w"),
        side(flags, "h"),
        orElse(whole(flags, "s", 1, Samplers.MOST_STEPS), STEPS).intValue(),
        guidance(flags),
        whole(flags, "d", 0, Long.MAX_VALUE),
        sampler(flags));
  }

  private boolean isKnown(String name) {
    if (OF_OTHER_MODELS.contains(name)) {
      remarks.accept(
          "%s line %d: --%s is for models of other kinds and has no effect on Stable Diffusion%s"
              .formatted(file, number, name, name.equals("g") ? "; its guidance is --l" : ""));
      return true;
    }
    return Set.of("n", "w", "h", "d", "s", "l", "ss").contains(name);
  }

  private @Nullable Integer side(Map<String, String> flags, String name) {
    Long pixels = whole(flags, name, FACTOR, DataConfig.MOST_RESOLUTION);
    return pixels == null ? null : Math.toIntExact(pixels / FACTOR * FACTOR);
  }

  private @Nullable Long whole(Map<String, String> flags, String name, long least, long most) {
    return parsed(
        flags,
        name,
        most == Long.MAX_VALUE
            ? "a whole number from %d".formatted(least)
            : "a whole number from %d to %d".formatted(least, most),
        text -> {
          long value = Long.parseLong(text);
          return value < least || value > most ? null : value;
        });
  }

  private double guidance(Map<String, String> flags) {
    return orElse(
            parsed(
                flags,
                "l",
                "a number up to " + MOST_GUIDANCE,
                text -> {
                  double value = Double.parseDouble(text);
                  return Math.abs(value) <= MOST_GUIDANCE ? value : null;
                }),
            GUIDANCE)
        .doubleValue();
  }

  private @Nullable SamplerKind sampler(Map<String, String> flags) {
    return parsed(
        flags,
        "ss",
        "a sampler, one of " + Samplers.SOME,
        text -> SamplerKind.find(text).orElse(null));
  }

  private static Number orElse(@Nullable Number value, Number other) {
    return value == null ? other : value;
  }

  private <T> @Nullable T parsed(
      Map<String, String> flags, String name, String what, Function<String, @Nullable T> parser) {
    String text = flags.get(name);
    if (text == null) {
      return null;
    }
    T value;
    try {
      value = parser.apply(text);
    } catch (NumberFormatException e) {
      value = null;
    }
    if (value == null) {
      wrong("--%s is %s, found '%s'".formatted(name, what, Printable.shortened(text)));
    }
    return value;
  }

  private void wrong(String message) {
    errors.accept("sample_prompts: %s line %d: %s".formatted(file, number, message));
  }
}
