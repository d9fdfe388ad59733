package dreambooth4j.config;

import static dreambooth4j.config.Key.Group.MEMORY;

import dreambooth4j.config.MemoryConfig.Checkpointing;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The keys of a run that are about its memory. */
final class MemoryKeys {
  private static final List<Key<Config, ?>> ALL = new ArrayList<>();

  /** The optimizers that are AdamW, as the extension and others call them. */
  private static final Pattern ADAMW =
      Pattern.compile("(torch |paged )?(8-?bit )?adamw( ?8-?bit)?");

  private static final String ADAMW_32BIT = "AdamW";
  private static final String ADAMW_8BIT = "8bit AdamW";

  static final Key<Config, Checkpointing> GRADIENT_CHECKPOINTING =
      key(
          "gradient_checkpointing",
          ValueType.flagOr(Checkpointing.class),
          Checkpointing.AUTO,
          Checkpointing.AUTO,
          "Compute activations again on the way back; auto: if they do not fit otherwise.",
          c -> c.memory().gradientCheckpointing());

  /** Null where the optimizer's name decides. */
  static final Key<Config, Boolean> USE_8BIT_ADAM =
      key(
          "use_8bit_adam",
          ValueType.flag(),
          null,
          null,
          "Hold AdamW's moments in 8 bits.",
          c -> c.memory().use8bitAdam());

  static final Key<Config, String> OPTIMIZER =
      key(
          "optimizer",
          ValueType.oneOf(List.of(ADAMW_32BIT, ADAMW_8BIT), (text, folder) -> adamw(text)),
          ADAMW_32BIT,
          ADAMW_8BIT,
          "The extension's way of saying use_8bit_adam.",
          c -> c.memory().use8bitAdam() ? ADAMW_8BIT : ADAMW_32BIT);

  static final Key<Config, Boolean> FUSED_BACKWARD_PASS =
      key(
          "fused_backward_pass",
          ValueType.flag(),
          false,
          false,
          "Update each weight as soon as its gradient is known, and hold no other's.",
          c -> c.memory().fusedBackwardPass());

  private MemoryKeys() {}

  static List<Key<Config, ?>> all() {
    return List.copyOf(ALL);
  }

  /**
   * Whether AdamW's moments are held in 8 bits: what use_8bit_adam says goes before the optimizer's
   * name, unless that is given more strongly.
   */
  static boolean use8bitAdam(Values run) {
    Boolean said = run.orNull(USE_8BIT_ADAM);
    if (said == null || run.outranks(OPTIMIZER, USE_8BIT_ADAM)) {
      return run.get(OPTIMIZER).equals(ADAMW_8BIT);
    }
    return said;
  }

  private static String adamw(String text) {
    String plain = text.toLowerCase(Locale.ROOT);
    if (!ADAMW.matcher(plain).matches()) {
      return text;
    }
    return plain.contains("8") ? ADAMW_8BIT : ADAMW_32BIT;
  }

  private static <T> Key<Config, T> key(
      String name,
      ValueType<T> type,
      @Nullable T standard,
      @Nullable T extensionStandard,
      String description,
      Function<Config, @Nullable T> getter) {
    Key<Config, T> key =
        new Key<>(MEMORY, name, type, standard, extensionStandard, description, getter);
    ALL.add(key);
    return key;
  }
}
