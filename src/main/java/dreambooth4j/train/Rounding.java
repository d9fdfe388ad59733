package dreambooth4j.train;

import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.op.Products;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What decides how a run's numbers round beside its settings: a checkpoint names it, so that a run
 * that goes on elsewhere, or with another version, can say that it no longer repeats bit for bit.
 */
final class Rounding {
  /** The library that multiplies matrices on the CPU where {@link #ARITHMETIC} names no other. */
  static final String PRODUCTS = "library of matrix products";

  /** libtorch and what it computes with. Checkpoints of earlier versions have no such entry. */
  static final String ARITHMETIC = "arithmetic";

  private static final String CONSEQUENCE =
      "from here on the last digits may differ from those of a run without the break";

  private Rounding() {}

  /** All of it, by name, for a run on this device. */
  static Map<String, String> on(Device device) {
    Map<String, String> all = new TreeMap<>();
    if (device == Device.CPU) {
      all.put(PRODUCTS, Platform.blas());
      all.put(ARITHMETIC, "%s; %s".formatted(Platform.kernels(), Products.inFloat32()));
    } else {
      all.put(ARITHMETIC, "libtorch %s, CUDA".formatted(Platform.libtorch()));
    }
    return all;
  }

  /** What is not as it was, each with the consequence and how to have it as it was. */
  static List<String> differences(Map<String, String> then, Map<String, String> now) {
    List<String> all = new ArrayList<>();
    String library = then.get(PRODUCTS);
    if (library != null && !library.equals(now.getOrDefault(PRODUCTS, library))) {
      String setting = Platform.settingFor(library);
      all.add(
          "%s was '%s', is '%s': %s%s"
              .formatted(
                  PRODUCTS,
                  library,
                  now.get(PRODUCTS),
                  CONSEQUENCE,
                  setting.isEmpty() ? "" : " (" + setting + " takes the first again)"));
    }
    String arithmetic = then.get(ARITHMETIC);
    if (arithmetic == null) {
      all.add("an earlier version did not record what computed its numbers: " + CONSEQUENCE);
    } else if (!arithmetic.equals(now.get(ARITHMETIC))) {
      all.add(
          "%s was '%s', is '%s': %s (the version that saved it, on such a processor, goes on exactly)"
              .formatted(ARITHMETIC, arithmetic, now.get(ARITHMETIC), CONSEQUENCE));
    }
    return all;
  }
}
