package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/** The recorded model, and what tests make of it. */
final class Golden {
  static final Path MODEL = Path.of("src/test/resources/goldens/sd1/model");

  private Golden() {}

  static ModelFolder model() {
    return ModelFolder.open(MODEL, null);
  }

  /** Parameters of the names and shapes that a component's file has, filled from it. */
  static Parameters parameters(Arena arena, Component component) {
    Parameters parameters = new Parameters(DType.F32);
    try (TensorSource source = model().weights(component)) {
      source.tensors().values().forEach(info -> parameters.declare(info.name(), info.sizes()));
      parameters.allocate(arena, false);
      WeightLoader.load(component, source, parameters);
    }
    return parameters;
  }

  /** A copy of the model that a test may change. */
  static Path copy(Path target) throws IOException {
    try (Stream<Path> files = Files.walk(MODEL)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path copy = target.resolve(MODEL.relativize(file).toString());
        Files.createDirectories(copy.resolveSibling("."));
        Files.copy(file, copy);
      }
    }
    return target;
  }

  /** Writes a file's tensors to another, under other names. */
  static void rename(Path source, Path target, UnaryOperator<String> name) {
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(source)) {
      SafetensorsWriter writer = new SafetensorsWriter();
      file.tensors().keySet().forEach(each -> writer.add(name.apply(each), file.read(run, each)));
      writer.write(run, target);
    }
  }

  /** All elements as F32. */
  static float[] floats(Arena arena, Tensor tensor) {
    Tensor copy = arena.allocate("floats", DType.F32, tensor.shape());
    copy.copyFrom(tensor);
    return copy.toFloats();
  }
}
