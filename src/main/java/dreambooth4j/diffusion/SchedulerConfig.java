package dreambooth4j.diffusion;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.JsonFault;
import dreambooth4j.Printable;
import dreambooth4j.Problem;

/**
 * A diffusers {@code scheduler_config.json}: the values that it states. A value that it does not
 * state, or states as null, is the default of whoever asks, for samplers differ in their defaults;
 * a key that nobody asks for has no effect. This is how diffusers hands one sampler's configuration
 * to another ({@code from_config}).
 */
public final class SchedulerConfig {
  // Python writes -Infinity, which strict JSON does not know.
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  private final ObjectNode values;

  private SchedulerConfig(ObjectNode values) {
    this.values = values;
  }

  /**
   * Reads the text of a {@code scheduler_config.json}.
   *
   * @throws Problem if it is not a JSON object
   */
  public static SchedulerConfig parse(String json) {
    try {
      return of(JSON.readTree(json));
    } catch (JsonProcessingException e) {
      throw new Problem(
          Problem.Kind.DATA, "scheduler_config.json is not JSON: " + JsonFault.why(e), e);
    }
  }

  /**
   * The values of a JSON object, which is copied.
   *
   * @throws Problem if it is not an object
   */
  public static SchedulerConfig of(JsonNode node) {
    if (node instanceof ObjectNode object) {
      return new SchedulerConfig(object.deepCopy());
    }
    throw Problem.data("scheduler_config.json: expected an object, found " + node.getNodeType());
  }

  /**
   * These values for a model that is trained otherwise: what it says then to whoever draws with it.
   *
   * @param velocity whether it predicts velocity, whatever it predicted
   * @param zeroTerminal whether nothing of the picture is left at the last timestep, where drawing
   *     must then begin
   */
  public SchedulerConfig trainedAs(boolean velocity, boolean zeroTerminal) {
    ObjectNode other = values.deepCopy();
    if (velocity) {
      other.put("prediction_type", "v_prediction");
    }
    if (zeroTerminal) {
      other.put("rescale_betas_zero_snr", true).put("timestep_spacing", "trailing");
    }
    return new SchedulerConfig(other);
  }

  /** Whether diffusers' class of this name draws with rescale_betas_zero_snr. */
  public boolean knowsZeroTerminalSnr() {
    return className()
        .matches(
            "(DDIM|DDPM|EulerDiscrete|EulerAncestralDiscrete|DPMSolverMultistep|UniPCMultistep|LCM)Scheduler");
  }

  /** All values; a copy. */
  public ObjectNode values() {
    return values.deepCopy();
  }

  /** The diffusers class that it was written for; empty if it does not say. */
  public String className() {
    return text("_class_name", "");
  }

  /** Whether it states a value for {@code key}. */
  boolean states(String key) {
    return !at(key).isNull() && !at(key).isMissingNode();
  }

  /** These values with another one for {@code key}. */
  SchedulerConfig with(String key, int value) {
    return new SchedulerConfig(values.deepCopy().put(key, value));
  }

  /** These values with another one for {@code key}. */
  SchedulerConfig with(String key, boolean value) {
    return new SchedulerConfig(values.deepCopy().put(key, value));
  }

  /** These values with another one for {@code key}. */
  SchedulerConfig with(String key, String value) {
    return new SchedulerConfig(values.deepCopy().put(key, value));
  }

  boolean flag(String key, boolean otherwise) {
    if (!states(key)) {
      return otherwise;
    }
    require(key, at(key).isBoolean(), "true or false");
    return at(key).booleanValue();
  }

  int integer(String key, int otherwise) {
    if (!states(key)) {
      return otherwise;
    }
    require(key, at(key).canConvertToInt() && at(key).canConvertToExactIntegral(), "an integer");
    return at(key).intValue();
  }

  double number(String key, double otherwise) {
    if (!states(key)) {
      return otherwise;
    }
    require(key, at(key).isNumber(), "a number");
    return at(key).doubleValue();
  }

  String text(String key, String otherwise) {
    if (!states(key)) {
      return otherwise;
    }
    require(key, at(key).isTextual(), "a text");
    return at(key).textValue();
  }

  /** The integers listed under {@code key}; none if it states nothing. */
  int[] integers(String key) {
    if (!states(key)) {
      return new int[0];
    }
    require(key, at(key).isArray(), "a list of integers");
    int[] list = new int[at(key).size()];
    for (int i = 0; i < list.length; i++) {
      require(key, at(key).get(i).isInt(), "a list of integers");
      list[i] = at(key).get(i).intValue();
    }
    return list;
  }

  /** Refuses a configuration that asks for {@code key}: states it as more than null or false. */
  void refuse(String key) {
    if (states(key) && !at(key).equals(values.booleanNode(false))) {
      throw unsupported(key);
    }
  }

  /** What is thrown when the value of {@code key} is not supported. */
  Problem unsupported(String key) {
    return Problem.data(
        "scheduler_config.json: %s %s is not supported"
            .formatted(key, Printable.shortened(at(key))));
  }

  private JsonNode at(String key) {
    return values.path(key);
  }

  private void require(String key, boolean met, String expected) {
    if (!met) {
      throw Problem.data(
          "scheduler_config.json: %s: expected %s, found %s"
              .formatted(key, expected, Printable.shortened(at(key))));
    }
  }

  @Override
  public String toString() {
    return values.toString();
  }
}
