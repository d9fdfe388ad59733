package dreambooth4j.config;

import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The rules that update weights. */
public enum OptimizerName {
  /** Loshchilov and Hutter 2019. */
  ADAMW("AdamW", 0.999, "AdamW suits most runs."),
  /** Chen et al. 2023. */
  LION(
      "Lion",
      0.99,
      "Lion remembers half as much of each weight, and wants a learning_rate 3 to 10 times smaller"
          + " and an adam_weight_decay as many times larger.");

  private static final String IN_8_BITS = "8bit ";

  /** As the extension and others call them. */
  private static final Pattern WRITTEN =
      Pattern.compile(
          "(torch |paged )?(?<before>8-?bit )?(?<name>%s)(?<after> ?8-?bit)?"
              .formatted(
                  Stream.of(values())
                      .map(each -> each.label.toLowerCase(Locale.ROOT))
                      .collect(Collectors.joining("|"))));

  private final String label;
  private final double beta2;
  private final String about;

  OptimizerName(String label, double beta2, String about) {
    this.label = label;
    this.beta2 = beta2;
    this.about = about;
  }

  /** The name in configuration files and checkpoints. */
  public String label() {
    return label;
  }

  /** What updates where nobody says anything. */
  public static OptimizerName standard() {
    return values()[0];
  }

  /** The rule of this {@link #label}; null if there is none. */
  public static @Nullable OptimizerName labelled(String label) {
    return Stream.of(values()).filter(each -> each.label.equals(label)).findFirst().orElse(null);
  }

  /** What adam_beta2 is where nobody says it. */
  double beta2() {
    return beta2;
  }

  /** What optimizer takes: each name, and each with moments in 8 bits. */
  static List<String> written() {
    return Stream.of(values())
        .flatMap(each -> Stream.of(each.label, IN_8_BITS + each.label))
        .toList();
  }

  /** One of {@link #written} for what somebody wrote, which is left as it is where it is none. */
  static String canonical(String text) {
    Matcher matcher = WRITTEN.matcher(text.toLowerCase(Locale.ROOT));
    if (!matcher.matches()) {
      return text;
    }
    String label =
        Stream.of(values())
            .map(OptimizerName::label)
            .filter(matcher.group("name")::equalsIgnoreCase)
            .findFirst()
            .orElseThrow();
    boolean in8Bits = matcher.group("before") != null || matcher.group("after") != null;
    return in8Bits ? IN_8_BITS + label : label;
  }

  /** The rule that one of {@link #written} names. */
  static OptimizerName of(String written) {
    return Stream.of(values())
        .filter(each -> written.endsWith(each.label))
        .findFirst()
        .orElseThrow();
  }

  /** Whether one of {@link #written} asks for moments in 8 bits. */
  static boolean in8Bits(String written) {
    return written.startsWith(IN_8_BITS);
  }

  /** What each of them is, in sentences. */
  static String inWords() {
    return Stream.of(values()).map(each -> each.about).collect(Collectors.joining(" "));
  }

  /** What adam_beta2 is with each, in words. */
  static String beta2InWords() {
    return Stream.of(values())
        .map(each -> each.beta2 + " with " + each.label)
        .collect(Collectors.joining(", "));
  }
}
