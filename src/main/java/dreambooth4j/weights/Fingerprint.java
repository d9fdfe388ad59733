package dreambooth4j.weights;

import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;

/** Names what a component holds, in whatever files it lies: the same weights have the same name. */
final class Fingerprint {
  private Fingerprint() {}

  /**
   * SHA-256 over a component's tensors, or over its files where it has no weights. All of it is
   * read.
   *
   * @throws dreambooth4j.Problem when there is none, or it cannot be read
   */
  static String of(ModelSource model, Component component) {
    return component.hasWeights()
        ? ofWeights(component, model.weights(component))
        : ofFiles(component, model.files(component));
  }

  private static String ofWeights(Component component, TensorSource opened) {
    MessageDigest digest = Sha256.digest();
    try (TensorSource weights = opened;
        Arena arena = Arena.open("fingerprint")) {
      Map<String, String> ordered = new TreeMap<>();
      weights
          .tensors()
          .keySet()
          .forEach(name -> ordered.put(WeightNames.ours(component, name), name));
      ordered.forEach(
          (ours, name) -> {
            TensorInfo info = weights.info(name);
            String head = "%s %s%s\n".formatted(ours, info.dtype(), info.shape());
            digest.update(head.getBytes(StandardCharsets.UTF_8));
            Tensor tensor = weights.read(arena, name);
            tensor.readBytes((bytes, offset) -> digest.update(bytes));
            tensor.release();
          });
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static String ofFiles(Component component, ComponentFiles files) {
    StringBuilder all = new StringBuilder();
    for (String name : component.files()) {
      if (files.has(name)) {
        all.append(name)
            .append('\n')
            .append(new String(SingleFile.content(files, name), StandardCharsets.UTF_8));
      }
    }
    return Sha256.of(all.toString());
  }
}
