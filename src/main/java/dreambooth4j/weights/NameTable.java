package dreambooth4j.weights;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Names of modules and tensors in a diffusers folder beside those in an original checkpoint. A name
 * stands for all that begins with it and a dot: what follows is the same on both sides.
 */
final class NameTable {
  /** A name in a diffusers folder, the one in an original checkpoint, and how it is held there. */
  record Entry(String ours, String theirs, Layout layout) {
    private Entry with(String rest) {
      return new Entry(ours + rest, theirs + rest, layout);
    }
  }

  private final Map<String, Entry> byOurs = new HashMap<>();
  private final Map<String, List<Entry>> byTheirs = new HashMap<>();

  NameTable add(String ours, String theirs) {
    return add(ours, theirs, Layout.SAME);
  }

  /** Adds a row; several rows may have one name in the original. */
  NameTable add(String ours, String theirs, Layout layout) {
    Entry entry = new Entry(ours, theirs, layout);
    byOurs.put(ours, entry);
    byTheirs.computeIfAbsent(theirs, name -> new ArrayList<>()).add(entry);
    return this;
  }

  /** Adds a row that is only read: a name that some originals have, and none is given. */
  NameTable alias(String ours, String theirs) {
    byTheirs
        .computeIfAbsent(theirs, name -> new ArrayList<>())
        .add(new Entry(ours, theirs, Layout.SAME));
    return this;
  }

  /** Adds rows of modules within a module: pairs of a name in diffusers and one in the original. */
  NameTable addAll(String ours, String theirs, Map<String, String> within) {
    within.forEach((each, other) -> add(ours + "." + each, theirs + "." + other));
    return this;
  }

  /** What a module or tensor of a diffusers folder is in an original checkpoint. */
  @Nullable Entry ofOurs(String name) {
    for (int end = name.length(); end > 0; end = name.lastIndexOf('.', end - 1)) {
      Entry entry = byOurs.get(name.substring(0, end));
      if (entry != null) {
        return entry.with(name.substring(end));
      }
    }
    return null;
  }

  /** What a module or tensor of an original checkpoint is in a diffusers folder: one, or three. */
  List<Entry> ofTheirs(String name) {
    for (int end = name.length(); end > 0; end = name.lastIndexOf('.', end - 1)) {
      List<Entry> entries = byTheirs.get(name.substring(0, end));
      if (entries != null) {
        String rest = name.substring(end);
        return entries.stream().map(entry -> entry.with(rest)).toList();
      }
    }
    return List.of();
  }
}
