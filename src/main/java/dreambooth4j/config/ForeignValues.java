package dreambooth4j.config;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What one configuration holds of {@link ForeignKeys}, gathered as it is read. */
final class ForeignValues {
  private final List<String> unused = new ArrayList<>();
  private final List<String> worthNaming = new ArrayList<>();
  private final List<String> remarks = new ArrayList<>();

  /**
   * Takes note of a key.
   *
   * @param value its text; empty if it has none
   * @param inExtensionsFile whether it stands in a db_config.json
   * @return why it is refused, or null if it is not
   */
  @Nullable String take(String name, String value, boolean inExtensionsFile) {
    ForeignKey key = ForeignKeys.get(name, inExtensionsFile);
    String refusal = key.refusal(value);
    if (refusal == null && key.isNoted(value)) {
      remarks.add("%s: %s, but %s".formatted(name, value, key.reason()));
    } else if (refusal == null) {
      addUnused(name, !inExtensionsFile || key.isChanged(value));
    }
    return refusal;
  }

  /**
   * Takes note of a key whose value is a list or a map.
   *
   * @param found "a list" or "a map"
   * @return as {@link #take}
   */
  @Nullable String takeNested(String name, String found, boolean inExtensionsFile) {
    ForeignKey key = ForeignKeys.get(name, inExtensionsFile);
    String refusal = key.refusalOf(found);
    if (refusal == null) {
      addUnused(name, !inExtensionsFile || key.extensionDefault() != null);
    }
    return refusal;
  }

  private void addUnused(String name, boolean naming) {
    if (!unused.contains(name)) {
      unused.add(name);
    }
    if (naming && !worthNaming.contains(name)) {
      worthNaming.add(name);
    }
  }

  /** Keys without effect or remark, in the order they were met. */
  List<String> unused() {
    return List.copyOf(unused);
  }

  /**
   * Those of them that somebody set: not the many of a db_config.json that stand at the extension's
   * defaults or say what it has named and counted.
   */
  List<String> worthNaming() {
    return List.copyOf(worthNaming);
  }

  /** One line for each key that asks for something else than what is done. */
  List<String> remarks() {
    return List.copyOf(remarks);
  }
}
