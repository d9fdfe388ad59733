package dreambooth4j.config;

import dreambooth4j.Nearest;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.events.CollectionEndEvent;
import org.snakeyaml.engine.v2.events.CollectionStartEvent;
import org.snakeyaml.engine.v2.events.DocumentStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.ScalarNode;

/**
 * Reads one YAML or JSON document as a graph of nodes that know their lines. Tags never become Java
 * objects: nothing is constructed at all.
 */
final class YamlDocument {
  private static final int LARGEST_BYTES = 1 << 20;
  private static final int DEEPEST = 8;
  private static final int MOST_ALIASES = 1000;

  private YamlDocument() {}

  /**
   * The document's root.
   *
   * @throws Problem if the file is missing, too large, too deep or no YAML
   */
  static Node read(Path file) {
    return parse(file, text(file));
  }

  /** The root of a document's text; {@code file} is where it is said to come from. */
  static Node parse(Path file, String text) {
    LoadSettings settings =
        LoadSettings.builder()
            .setLabel(String.valueOf(file.getFileName()))
            .setCodePointLimit(LARGEST_BYTES)
            .setMaxAliasesForCollections(MOST_ALIASES)
            .setAllowDuplicateKeys(true) // found by us, with a better message
            .build();
    try {
      checkDepth(file, new Parse(settings).parseString(text));
      return new Compose(settings)
          .composeString(text)
          .orElseThrow(() -> Problem.usage(file + " is empty"));
    } catch (MarkedYamlEngineException e) {
      int line = e.getProblemMark().map(mark -> mark.getLine() + 1).orElse(1);
      throw new Problem(
          Problem.Kind.USAGE, "%s:%d: no valid YAML: %s".formatted(file, line, e.getProblem()), e);
    } catch (YamlEngineException e) {
      throw new Problem(
          Problem.Kind.USAGE, "%s: no valid YAML: %s".formatted(file, e.getMessage()), e);
    }
  }

  /** The line of a node, counted from 1. */
  static int line(Node node) {
    return node.getStartMark().map(mark -> mark.getLine() + 1).orElse(1);
  }

  /** A scalar's text; null if the node is null in whatever way it is written. */
  static @Nullable String scalar(ScalarNode node) {
    String text = node.getValue();
    boolean plain = node.getScalarStyle() == ScalarStyle.PLAIN;
    return plain && text.matches("~|null|Null|NULL|") ? null : text;
  }

  /**
   * A file's text.
   *
   * @throws Problem if the file is missing, too large or not UTF-8
   */
  static String text(Path file) {
    try {
      if (Files.notExists(file)) {
        throw Problem.usage(file + ": there is no such file" + Nearest.hint(file));
      }
      ByteBuffer bytes = ByteBuffer.wrap(content(file));
      String text = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
      boolean json = text.stripLeading().startsWith("{") || text.stripLeading().startsWith("[");
      // JSON may be indented by tabs, YAML may not; inside a JSON text a tab cannot stand.
      return json ? text.replace('\t', ' ') : text;
    } catch (CharacterCodingException e) {
      throw new Problem(Problem.Kind.USAGE, file + " is not UTF-8 text", e);
    }
  }

  private static byte[] content(Path file) {
    try {
      return RegularFile.bytes(file, LARGEST_BYTES);
    } catch (Problem e) {
      throw new Problem(Problem.Kind.USAGE, String.valueOf(e.getMessage()), e);
    }
  }

  // Before the graph is built, because building it recurses.
  private static void checkDepth(Path file, Iterable<Event> events) {
    int depth = 0;
    int documents = 0;
    for (Event event : events) {
      if (event instanceof CollectionStartEvent) {
        depth++;
      } else if (event instanceof CollectionEndEvent) {
        depth--;
      } else if (event instanceof DocumentStartEvent) {
        documents++;
      }
      if (depth > DEEPEST || documents > 1) {
        int line = event.getStartMark().map(mark -> mark.getLine() + 1).orElse(1);
        String what = documents > 1 ? "a second document" : "lists or maps nested too deep";
        throw Problem.usage("%s:%d: %s".formatted(file, line, what));
      }
    }
  }
}
