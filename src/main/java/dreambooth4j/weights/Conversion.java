package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A model written in another form: its folder as a single file, a single file as a folder, either
 * in another type. One tensor at a time is in memory.
 *
 * @param output a file or a folder, of which nothing is there yet
 */
public record Conversion(
    ModelSource model, Path output, ModelForm.Format format, @Nullable DType type) {
  /** A conversion to a place where nothing lies. */
  public Conversion {
    WholeOutput.requireFree(output);
  }

  /** The format that the name of a place is of: a file's if it ends as one, else a folder's. */
  public static ModelForm.Format formatOf(Path output) {
    return output.toString().endsWith(".safetensors")
        ? ModelForm.Format.SAFETENSORS
        : ModelForm.Format.DIFFUSERS;
  }

  /** How many bytes of tensors are written. */
  public long bytes() {
    long sum = 0;
    for (Component each : model.pipeline().components()) {
      try (TensorSource weights = model.weights(each)) {
        for (TensorInfo info : weights.tensors().values()) {
          DType written = type == null || !info.dtype().isFloat() ? info.dtype() : type;
          sum += info.count() * written.bytes();
        }
      }
    }
    return sum;
  }

  /**
   * Writes it, whole or not at all.
   *
   * @param progress is told how many bytes more of tensors are written
   * @throws Problem when the model cannot be read or the output cannot be written
   */
  public void run(LongConsumer progress) {
    ModelWriter writer = new ModelWriter(model, new ModelForm(Set.of(format), type), progress);
    try (WholeOutput files = new WholeOutput(output);
        Arena arena = Arena.open("convert")) {
      if (format == ModelForm.Format.SAFETENSORS) {
        writer.handFile(files, arena, output);
      } else {
        writer.hand(files, arena, List.of(), Map.of(), output);
      }
      files.commit();
    }
  }
}
