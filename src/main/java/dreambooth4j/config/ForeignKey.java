package dreambooth4j.config;

import dreambooth4j.Printable;
import java.util.Locale;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A key of sd_dreambooth_extension or of diffusers that does nothing here, and what becomes of it.
 *
 * @param kind what becomes of it
 * @param reason why it does nothing; of those that are refused, what to do instead; of those that
 *     are noted, what is done instead
 * @param asks whether a value, in small letters, asks for what is not done
 * @param flag whether it is on or off and nothing else
 * @param extensionDefault its value in a db_config.json that nobody changed; null if that differs
 *     from one file to the next, or if the extension has no such key
 */
record ForeignKey(
    Kind kind,
    String reason,
    Predicate<String> asks,
    boolean flag,
    @Nullable String extensionDefault) {
  /** What becomes of a key whose value asks for what is not done here. */
  enum Kind {
    /** Nothing: whatever its value, the trained weights are the same. */
    IGNORED,
    /** It is said that something else is done, with the same result. */
    NOTED,
    /** It ends the reading: it asks for other weights than ours would be. */
    REFUSED
  }

  /** This key with the extension's default. */
  ForeignKey withDefault(String value) {
    return new ForeignKey(kind, reason, asks, flag, value);
  }

  /** Why a value is refused, or null if it is not. */
  @Nullable String refusal(String value) {
    String plain = value.toLowerCase(Locale.ROOT);
    if (flag && !plain.matches("true|false|")) {
      return "found '%s', allowed is %s"
          .formatted(Printable.shortened(value), ValueType.flag().allowed());
    }
    return kind == Kind.REFUSED && asks.test(plain) ? notDone(value) : null;
  }

  /** Why a list or a map is refused, or null if it is not. */
  @Nullable String refusalOf(String found) {
    if (kind == Kind.IGNORED) {
      return null;
    }
    if (flag) {
      return "found %s, allowed is %s".formatted(found, ValueType.flag().allowed());
    }
    return kind == Kind.NOTED ? null : notDone(found);
  }

  private String notDone(String found) {
    return "%s is not done here; %s".formatted(found, reason);
  }

  /** Whether it is said that something else is done. */
  boolean isNoted(String value) {
    return kind == Kind.NOTED && asks.test(value.toLowerCase(Locale.ROOT));
  }

  /** Whether a db_config.json holds it at another value than the extension's default. */
  boolean isChanged(String value) {
    return extensionDefault != null && !sameValue(extensionDefault, value);
  }

  private static boolean sameValue(String a, String b) {
    if (a.equalsIgnoreCase(b)) {
      return true;
    }
    try {
      return Double.parseDouble(a) == Double.parseDouble(b);
    } catch (NumberFormatException e) {
      return false;
    }
  }
}
