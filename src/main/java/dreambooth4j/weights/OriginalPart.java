package dreambooth4j.weights;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where an original checkpoint holds a component: its names begin with {@code prefix}, and the
 * table has the rest of them.
 */
record OriginalPart(String prefix, NameTable table) {
  /** What a tensor of the component, by its name here, is in the original; null if it has none. */
  NameTable.@Nullable Entry ofOurs(String name) {
    NameTable.Entry entry = table.ofOurs(name);
    return entry == null ? null : withPrefix(entry);
  }

  /** What a tensor of the original is in the component: one, three, or none. */
  List<NameTable.Entry> ofTheirs(String name) {
    return name.startsWith(prefix)
        ? table.ofTheirs(name.substring(prefix.length())).stream().map(this::withPrefix).toList()
        : List.of();
  }

  private NameTable.Entry withPrefix(NameTable.Entry entry) {
    return new NameTable.Entry(entry.ours(), prefix + entry.theirs(), entry.layout());
  }
}
