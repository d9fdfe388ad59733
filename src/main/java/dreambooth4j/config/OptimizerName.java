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
  ADAMW("AdamW", 0.999, true, "", "AdamW suits most runs."),
  /** Chen et al. 2023. */
  LION("Lion", 0.99, true, "", "Lion wants a learning_rate 3 to 10 times smaller."),
  /** With momentum. */
  SGD("SGD", 0.999, true, "momentum nesterov", "SGD is gradient descent with momentum."),
  /** Shazeer and Stern 2018. */
  ADAFACTOR(
      "Adafactor",
      0.999,
      false,
      "relative_step scale_parameter warmup_init clip_threshold decay_rate beta1",
      "Adafactor takes least memory."),
  /** Mishchenko and Defazio 2023. */
  PRODIGY(
      "Prodigy",
      0.999,
      false,
      "d0 d_coef use_bias_correction safeguard_warmup",
      "Prodigy finds the learning rate by itself."),
  /** Defazio et al. 2024. */
  ADAMW_SCHEDULE_FREE(
      "AdamWScheduleFree",
      0.999,
      false,
      "r weight_lr_power",
      "AdamWScheduleFree saves an average of its steps.");

  private static final String IN_8_BITS = "8bit ";

  /** As the extension and others call them. */
  private static final Pattern WRITTEN =
      Pattern.compile(
          "(torch |paged )?(?<before>8-?bit )?(?<name>%s)(?<after> ?8-?bit)?"
              .formatted(
                  Stream.of(values())
                      .map(each -> each.label.toLowerCase(Locale.ROOT))
                      .collect(Collectors.joining("|", "", "|sgdnesterov"))));

  private final String label;
  private final double beta2;
  private final boolean fits8Bits;

  @SuppressWarnings("ImmutableEnumChecker") // a list that cannot change
  private final List<String> arguments;

  private final String about;

  OptimizerName(String label, double beta2, boolean fits8Bits, String arguments, String about) {
    this.label = label;
    this.beta2 = beta2;
    this.fits8Bits = fits8Bits;
    this.arguments = arguments.isEmpty() ? List.of() : List.of(arguments.split(" ", -1));
    this.about = about;
  }

  /** What optimizer_args may hold. */
  public List<String> arguments() {
    return arguments;
  }

  /** Whether what it remembers can be held in 8 bits. */
  public boolean fits8Bits() {
    return fits8Bits;
  }

  /** Which has which arguments. */
  static String argumentsInWords() {
    return Stream.of(values())
        .filter(each -> !each.arguments.isEmpty())
        .map(each -> each.label + " " + String.join(", ", each.arguments))
        .collect(Collectors.joining("; ", "", "."));
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
  public static List<String> written() {
    return Stream.of(values())
        .flatMap(
            each ->
                each.fits8Bits
                    ? Stream.of(each.label, IN_8_BITS + each.label)
                    : Stream.of(each.label))
        .toList();
  }

  /** One of {@link #written} for what somebody wrote, which is left as it is where it is none. */
  public static String canonical(String text) {
    Matcher matcher = WRITTEN.matcher(text.toLowerCase(Locale.ROOT));
    if (!matcher.matches()) {
      return text;
    }
    String name = matcher.group("name").replace("nesterov", ""); // which is usual here
    String label =
        Stream.of(values())
            .map(OptimizerName::label)
            .filter(name::equalsIgnoreCase)
            .findFirst()
            .orElseThrow();
    boolean in8Bits = matcher.group("before") != null || matcher.group("after") != null;
    return in8Bits ? IN_8_BITS + label : label;
  }

  /** The rule that one of {@link #written} names. */
  public static OptimizerName of(String written) {
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
    return "0.999, with Lion 0.99";
  }
}
