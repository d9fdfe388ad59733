package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
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
    requireFree(output);
  }

  /** The format that the name of a place is of: a file's if it ends as one, else a folder's. */
  public static ModelForm.Format formatOf(Path output) {
    return output.toString().endsWith(".safetensors")
        ? ModelForm.Format.SAFETENSORS
        : ModelForm.Format.DIFFUSERS;
  }

  /** What a process left that was killed while it wrote to a folder is no model. */
  private static void requireFree(Path output) {
    if (Files.isDirectory(output)) {
      try (Stream<Path> files = Files.list(output)) {
        if (files.allMatch(FolderChanges::isOwn)) {
          return;
        }
      } catch (IOException e) {
        throw StagedFiles.unwritable(output, e);
      }
    }
    if (Files.exists(output)) {
      throw Problem.usage(
          "%s is there already, and is not written over: give another name, or remove it first"
              .formatted(output));
    }
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
    try (Arena arena = Arena.open("convert")) {
      if (format == ModelForm.Format.SAFETENSORS) {
        writer.writeFile(arena, output);
        return;
      }
      boolean isNew = !Files.exists(output);
      try {
        writer.write(arena, List.of(), Map.of(), output);
      } catch (RuntimeException e) {
        if (isNew) {
          removeEmpty();
        }
        throw e;
      }
    }
  }

  private void removeEmpty() {
    try {
      Files.deleteIfExists(output);
    } catch (IOException e) {
      // Something is in it, or it cannot be removed: it harms nothing.
    }
  }
}
