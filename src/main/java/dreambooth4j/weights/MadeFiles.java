package dreambooth4j.weights;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The files of a component that has none of its own: they are made where they are asked for. */
final class MadeFiles implements ComponentFiles {
  private final String origin;
  private final Map<String, ObjectNode> json = new LinkedHashMap<>();
  private final Map<String, List<String>> texts = new LinkedHashMap<>();

  /** {@code origin} says in messages where they come from. */
  MadeFiles(String origin) {
    this.origin = origin;
  }

  MadeFiles add(String name, ObjectNode content) {
    json.put(name, content);
    return this;
  }

  MadeFiles add(String name, List<String> lines) {
    texts.put(name, lines);
    return this;
  }

  @Override
  public boolean has(String name) {
    return json.containsKey(name) || texts.containsKey(name);
  }

  @Override
  public ObjectNode json(String name) {
    ObjectNode content = json.get(name);
    if (content == null) {
      throw missing(name);
    }
    return content.deepCopy();
  }

  @Override
  public List<String> lines(String name) {
    List<String> lines = texts.get(name);
    if (lines == null) {
      throw missing(name);
    }
    return lines;
  }

  private Problem missing(String name) {
    return Problem.data("%s: expected it, found none".formatted(where(name)));
  }

  @Override
  public String where(String name) {
    return "%s of %s".formatted(name, origin);
  }
}
