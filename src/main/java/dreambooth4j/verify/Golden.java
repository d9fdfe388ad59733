package dreambooth4j.verify;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.JsonFault;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.TensorInfo;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * One recorded case: a safetensors file of {@code input.*}, {@code output.*}, {@code grad.*} and
 * {@code final.*} tensors whose metadata's {@code case} says what computed them. It keeps account
 * of what has been compared, so that nothing recorded is passed over.
 */
final class Golden implements AutoCloseable {
  // Python writes Infinity and NaN bare.
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  private static final double LEAST_SHARE_OF_GLOBAL_NORM = 1e-4;

  private static final String CASE = "case";

  /**
   * Before the name of a table of which only the rows that are not zeros were recorded: their
   * numbers.
   */
  private static final String ROWS = "rows.";

  private final Safetensors file;
  private final JsonNode settings;
  private final Set<String> open = new TreeSet<>();
  private final List<Check> checks = new ArrayList<>();
  private double gradientNorm = Double.NaN;

  private Golden(Safetensors file, JsonNode settings) {
    this.file = file;
    this.settings = settings;
    for (String name : file.tensors().keySet()) {
      if (!name.startsWith("input.")) {
        open.add(name);
      }
    }
  }

  static Golden open(Path path) {
    Safetensors file = Safetensors.open(path);
    String text = file.metadata().get(CASE);
    if (text == null) {
      file.close();
      throw Problem.data(path + ": its metadata has no \"case\": this is no recorded case");
    }
    try {
      return new Golden(file, JSON.readTree(text));
    } catch (JsonProcessingException e) {
      file.close();
      throw Problem.data(path + ": its metadata's \"case\" is no JSON: " + JsonFault.why(e));
    }
  }

  /** Whether a safetensors file says of itself that it is a recorded case. */
  static boolean isCase(Path path) {
    try (Safetensors file = Safetensors.open(path)) {
      return file.metadata().containsKey(CASE);
    } catch (Problem e) {
      return false;
    }
  }

  /** The metadata's settings. */
  JsonNode settings() {
    return settings;
  }

  /** A setting that the case must have. */
  JsonNode setting(String key) {
    JsonNode value = settings.get(key);
    if (value == null) {
      throw notUnderstood("its case has no \"" + key + "\"");
    }
    return value;
  }

  /** The limit that the case itself has for a tensor, or else this one. */
  double limit(String name, double usual) {
    return settings.path("limits").path(name).asDouble(usual);
  }

  Problem notUnderstood(String why) {
    return Problem.data(file.path() + ": not understood: " + why);
  }

  /** The shape of a recorded tensor. */
  long[] shape(String name) {
    TensorInfo info = file.tensors().get(name);
    if (info == null) {
      throw notUnderstood("it has no tensor " + name);
    }
    return info.shape().stream().mapToLong(Long::longValue).toArray();
  }

  boolean has(String name) {
    return file.tensors().containsKey(name);
  }

  /** A file that was recorded beside the case. */
  Path sibling(String name) {
    return file.path().resolveSibling(name);
  }

  /** Names of the recorded tensors that begin so. */
  List<String> names(String prefix) {
    return file.tensors().keySet().stream().filter(n -> n.startsWith(prefix)).sorted().toList();
  }

  /** A recorded input, as it was stored; the caller holds it. */
  Tensor input(Arena arena, String name) {
    if (!has(name)) {
      throw notUnderstood("it has no tensor " + name);
    }
    return file.read(arena, name);
  }

  /** All elements of a recorded F32 tensor. */
  float[] floats(Arena arena, String name) {
    Tensor tensor = input(arena, name);
    if (tensor.dtype() != DType.F32) {
      throw notUnderstood(name + " is " + tensor.dtype() + ", not F32");
    }
    float[] values = tensor.toFloats();
    tensor.release();
    return values;
  }

  /** All elements of a recorded I64 output, which counts as compared. */
  long[] longs(Arena arena, String name) {
    open.remove(name);
    return input(arena, name).toLongs();
  }

  /** All elements of a recorded U8 output, which counts as compared. */
  void bytes(Arena arena, String name, byte[] into) {
    open.remove(name);
    Tensor tensor = input(arena, name);
    if (tensor.count() != into.length || tensor.dtype() != DType.U8) {
      throw notUnderstood("%s is %s".formatted(name, tensor));
    }
    tensor.bytes(0, into.length).get(into);
  }

  /** Notes how many of a recorded output's elements differ, of which none may. */
  void counted(String name, String what, int differing) {
    add(name, what, differing, 0);
  }

  /** Compares an output: the error relative to the recorded norm. */
  void output(Arena arena, String name, float[] ours, double limit) {
    float[] theirs = recorded(arena, name, ours.length);
    double norm = norm(theirs, 0, ours.length);
    double error = error(ours, theirs, 0, ours.length);
    add(name, "relative error", error == 0 ? 0 : error / norm, limit); // of zeros, none
  }

  /** Compares a path whose outermost axis is steps: the worst step's relative error. */
  void path(Arena arena, String name, List<float[]> ours, double limit) {
    int length = ours.isEmpty() ? 0 : ours.get(0).length;
    float[] theirs = recorded(arena, name, length * ours.size());
    double worst = 0;
    for (int i = 0; i < ours.size(); i++) {
      float[] step = java.util.Arrays.copyOfRange(theirs, i * length, (i + 1) * length);
      worst = Check.worse(worst, error(ours.get(i), step, 0, length) / norm(step, 0, length));
    }
    add(name, "relative error of the worst step", worst, limit);
  }

  /**
   * Compares a gradient: the error relative to the larger of the recorded norm and a small share of
   * the norm of all recorded gradients together.
   */
  void gradient(Arena arena, String name, float[] ours, double limit) {
    float[] theirs = recorded(arena, name, ours.length);
    double least = LEAST_SHARE_OF_GLOBAL_NORM * globalGradientNorm(arena);
    double scale = Math.max(norm(theirs, 0, theirs.length), least);
    add(name, "error", error(ours, theirs, 0, ours.length) / scale, limit);
  }

  private double globalGradientNorm(Arena arena) {
    if (Double.isNaN(gradientNorm)) {
      double squares = 0;
      for (String name : names("grad.")) {
        float[] values = floats(arena, name);
        squares += Math.pow(norm(values, 0, values.length), 2);
      }
      gradientNorm = Math.sqrt(squares);
    }
    return gradientNorm;
  }

  /** Compares a trained parameter: the error relative to how far it moved. */
  void trained(Arena arena, String name, float[] ours, double moved, double limit) {
    float[] theirs = recorded(arena, name, ours.length);
    add(name, "share of its way", error(ours, theirs, 0, ours.length) / moved, limit);
  }

  private float[] recorded(Arena arena, String name, int count) {
    float[] theirs = has(ROWS + name) ? spread(arena, name, count) : floats(arena, name);
    open.remove(name);
    if (theirs.length != count) {
      throw notUnderstood(
          "%s has %d elements, the model gives %d".formatted(name, theirs.length, count));
    }
    return theirs;
  }

  /** A table with the rows that were left out. */
  private float[] spread(Arena arena, String name, int count) {
    float[] some = floats(arena, name);
    long[] rows = longs(arena, ROWS + name);
    int width = rows.length == 0 ? 0 : some.length / rows.length;
    float[] all = new float[count];
    if (rows.length * width != some.length || (width > 0 && count % width != 0)) {
      throw notUnderstood(
          "%s has %d elements, which are not %d rows of the model's %d"
              .formatted(name, some.length, rows.length, count));
    }
    for (int i = 0; i < rows.length; i++) {
      if (rows[i] < 0 || (rows[i] + 1) * width > count) {
        throw notUnderstood("%s%s has row %d, beyond the model's".formatted(ROWS, name, rows[i]));
      }
      System.arraycopy(some, i * width, all, (int) rows[i] * width, width);
    }
    return all;
  }

  private void add(String name, String what, double worst, double limit) {
    checks.add(new Check(name, what, worst, limit));
  }

  private static double error(float[] ours, float[] theirs, int from, int to) {
    double squares = 0;
    for (int i = from; i < to; i++) {
      double d = (double) ours[i] - theirs[i];
      squares += d * d;
    }
    return Math.sqrt(squares);
  }

  private static double norm(float[] values, int from, int to) {
    double squares = 0;
    for (int i = from; i < to; i++) {
      squares += (double) values[i] * values[i];
    }
    return Math.sqrt(squares);
  }

  /** What was compared; whatever was recorded and not compared makes the case not understood. */
  List<Check> checks() {
    if (!open.isEmpty()) {
      throw notUnderstood("nothing here computes " + String.join(", ", open));
    }
    return checks;
  }

  @Override
  public void close() {
    file.close();
  }
}
