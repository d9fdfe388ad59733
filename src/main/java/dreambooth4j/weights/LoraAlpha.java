package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * The alphas that peft notes in a file's metadata: one for each component, and others by regular
 * expressions of its layers' names. Where a file says nothing, alpha is a layer's rank.
 */
final class LoraAlpha {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String METADATA = "lora_adapter_metadata";
  private static final int MOST_PATTERNS = 10_000;
  private static final int LONGEST_PATTERN = 1000;

  /** Characters that may be looked at in all: what takes longer was made to. */
  private static final long MOST_LOOKS = 500_000_000;

  private final TensorSource file;
  private final JsonNode settings;
  private final Map<Component, Map<Pattern, Double>> patterns = new LinkedHashMap<>();
  private long looks;

  /**
   * Those of an open file.
   *
   * @throws Problem when its metadata cannot be read
   */
  LoraAlpha(TensorSource file) {
    this.file = file;
    String text = file.metadata().get(METADATA);
    try {
      settings = JSON.readTree(text == null ? "{}" : text);
    } catch (JsonProcessingException e) {
      throw bad("is not valid JSON: " + JsonFile.why(e));
    }
  }

  /**
   * What a layer's change is multiplied by.
   *
   * @param stated the alpha that the file holds for the layer; NaN if none
   * @param rank of the layer
   */
  double scale(Component component, String layer, double stated, long rank) {
    double alpha = Double.isNaN(stated) ? noted(component, layer, rank) : stated;
    boolean byRoot = Double.isNaN(stated) && setting(component, "use_rslora").asBoolean(false);
    return alpha / (byRoot ? Math.sqrt((double) rank) : (double) rank);
  }

  private double noted(Component component, String layer, long rank) {
    String name = "." + layer;
    for (Map.Entry<Pattern, Double> each :
        patterns.computeIfAbsent(component, this::patterns).entrySet()) {
      if (matches(each.getKey(), name)) {
        return each.getValue();
      }
    }
    JsonNode alpha = setting(component, "lora_alpha");
    return alpha.isMissingNode() || alpha.isNull() ? rank : number(alpha, "lora_alpha");
  }

  private JsonNode setting(Component component, String key) {
    return settings.path(component.folder() + "." + key);
  }

  private Map<Pattern, Double> patterns(Component component) {
    Map<Pattern, Double> read = new LinkedHashMap<>();
    JsonNode all = setting(component, "alpha_pattern");
    if (all.size() > MOST_PATTERNS) {
      throw bad("has more than %d patterns".formatted(MOST_PATTERNS));
    }
    List<String> names = new ArrayList<>();
    all.fieldNames().forEachRemaining(names::add);
    for (String name : names) {
      if (name.length() > LONGEST_PATTERN) {
        throw bad("has a pattern of %d characters".formatted(name.length()));
      }
      try {
        // As peft matches them: the whole name, or what follows one of its dots.
        read.put(Pattern.compile("(.*\\.)(" + name + ")"), number(all.path(name), name));
      } catch (PatternSyntaxException | StackOverflowError e) {
        throw bad("has a pattern that is no regular expression: " + name);
      }
    }
    return read;
  }

  private boolean matches(Pattern pattern, String name) {
    try {
      return pattern.matcher(new Counted(name)).matches();
    } catch (StackOverflowError e) {
      throw bad("has a pattern that cannot be matched: " + pattern);
    }
  }

  private double number(JsonNode value, String key) {
    if (!value.isNumber() || !Double.isFinite(value.asDouble())) {
      throw bad("%s: expected a number, found %s".formatted(key, value));
    }
    return value.asDouble();
  }

  private Problem bad(String what) {
    return Problem.data("%s: metadata %s %s".formatted(file.path(), METADATA, what));
  }

  /** A text that a regular expression may look at for so long and no longer. */
  private final class Counted implements CharSequence {
    private final String text;

    Counted(String text) {
      this.text = text;
    }

    @Override
    public int length() {
      return text.length();
    }

    @Override
    public char charAt(int index) {
      if (++looks > MOST_LOOKS) {
        throw bad("has patterns that take too long to match");
      }
      return text.charAt(index);
    }

    @Override
    public CharSequence subSequence(int start, int end) {
      return new Counted(text.substring(start, end));
    }

    @Override
    public String toString() {
      return text;
    }
  }
}
