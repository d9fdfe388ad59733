package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Fills a model's parameters from a file, or says all that does not fit at once. */
public final class WeightLoader {
  private static final int SHOWN = 8;

  private WeightLoader() {}

  /**
   * Reads every parameter, from whatever name and type the source has it under, straight into its
   * place.
   *
   * @param parameters allocated; their names are those that diffusers and transformers 5 write
   * @throws Problem when tensors are missing, left over, or of another shape; nothing is read then
   */
  public static void load(Component component, TensorSource source, Parameters parameters) {
    requireFit(component, source, parameters);
    WeightNames.fileNames(component, source)
        .forEach(
            (ours, name) -> {
              Parameter parameter = parameters.byName().get(ours);
              if (parameter != null) {
                source.readInto(parameter, name);
              }
            });
    parameters.copyMasters();
  }

  /**
   * Compares the header of a file with parameters, which need not be allocated.
   *
   * @throws Problem that says all that is missing, left over, or of another shape
   */
  public static void requireFit(Component component, TensorSource source, Parameters parameters) {
    Map<String, String> surplus = new LinkedHashMap<>(WeightNames.fileNames(component, source));
    List<String> faults = misfits(source, parameters, surplus::remove);
    for (String name : surplus.values()) {
      TensorInfo info = source.tensors().get(name);
      if (info != null) {
        faults.add(fault(source, info, "no such tensor"));
      }
    }
    refuse(source, faults, "");
  }

  /**
   * As {@link #requireFit(Component, TensorSource, Parameters)}, of parameters under their own
   * names in a file that may hold other models' too.
   *
   * @param wayOut sentence that ends the message
   */
  public static void requireAmong(TensorSource source, Parameters parameters, String wayOut) {
    refuse(source, misfits(source, parameters, name -> name), "%n".formatted() + wayOut);
  }

  private static List<String> misfits(
      TensorSource source, Parameters parameters, Function<String, @Nullable String> nameOf) {
    List<String> faults = new ArrayList<>();
    for (Parameter parameter : parameters.all()) {
      String name = nameOf.apply(parameter.name());
      TensorInfo info = name == null ? null : source.tensors().get(name);
      String expected = Arrays.toString(parameter.fileShape());
      if (info == null) {
        faults.add(
            "%s: tensor %s: expected %s, found none"
                .formatted(source.path(), parameter.name(), expected));
      } else if (!info.dtype().isFloat() || !info.fits(parameter)) {
        faults.add(fault(source, info, "numbers " + expected));
      }
    }
    return faults;
  }

  private static void refuse(TensorSource source, List<String> faults, String wayOut) {
    if (faults.isEmpty()) {
      return;
    }
    String rest = faults.size() > SHOWN ? "%n  and %d more".formatted(faults.size() - SHOWN) : "";
    throw Problem.data(
        "%s: %d tensors do not fit the model that the config.json beside it describes:%n  %s%s%s"
            .formatted(
                source.path(),
                faults.size(),
                String.join("%n  ".formatted(), faults.subList(0, Math.min(SHOWN, faults.size()))),
                rest,
                wayOut));
  }

  private static String fault(TensorSource source, TensorInfo info, String expected) {
    return "%s: tensor %s: expected %s, found %s%s"
        .formatted(source.fileOf(info.name()), info.name(), expected, info.dtype(), info.shape());
  }
}
