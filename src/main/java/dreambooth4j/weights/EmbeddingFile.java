package dreambooth4j.weights;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.PromptWord;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A file with the vectors of one word, as textual inversion leaves it: diffusers' and kohya's
 * (safetensors, or a pickle as {@code learned_embeds.bin}), A1111's {@code .pt}, and of SDXL one
 * with {@code clip_l} and {@code clip_g}.
 */
public final class EmbeddingFile {
  /** What our files, and others by Stability AI's standard, say that their word is. */
  static final String WORD = "modelspec.trigger_phrase";

  /** A tensor of this name says nothing of the word. */
  private static final List<String> NAMELESS = List.of("*", "emb_params", "clip_l", "clip_g");

  /** One of each text encoder. */
  private static final int MOST_TENSORS = 2;

  private EmbeddingFile() {}

  /** The tensor of a text encoder in a file for SDXL. */
  static String ofSdxl(Component textEncoder) {
    return textEncoder == Component.TEXT_ENCODER ? "clip_l" : "clip_g";
  }

  /** Whether a file of safetensors holds so few tensors as an embedding does, and no model. */
  public static boolean is(Path path) {
    if (!Files.isRegularFile(path) || !path.toString().endsWith(".safetensors")) {
      return false;
    }
    try (TensorSource file = TensorFiles.open(path)) {
      return file.tensors().size() <= MOST_TENSORS;
    }
  }

  /**
   * Reads one.
   *
   * @param word what the word is to be; null for what the file says, or else for its name
   * @param widths numbers of a vector of each text encoder of the model that it is for
   * @throws Problem when it cannot be read, holds something else, or is for another model
   */
  public static TokenEmbedding read(
      Path path, @Nullable String word, Map<Component, Integer> widths) {
    try (TensorSource file = TensorFiles.open(path);
        Arena arena = Arena.open("embedding")) {
      Map<Component, TensorInfo> tensors = new EnumMap<>(Component.class);
      if (widths.size() == 1) {
        tensors.put(widths.keySet().iterator().next(), single(file));
      } else {
        widths.keySet().forEach(each -> tensors.put(each, file.tensors().get(ofSdxl(each))));
      }
      Map<Component, float[]> values = new EnumMap<>(Component.class);
      int vectors = 0;
      for (Component each : widths.keySet()) {
        TensorInfo info = tensors.get(each);
        int width = Objects.requireNonNull(widths.get(each));
        int count = rows(file, each, info, width);
        if (vectors != 0 && vectors != count) {
          throw Problem.data(
              "%s: expected as many vectors for each text encoder, found %d and %d"
                  .formatted(path, vectors, count));
        }
        vectors = count;
        values.put(each, numbers(arena, file, Objects.requireNonNull(info)));
      }
      requireFinite(path, values);
      String own = word == null ? word(file) : word;
      if (word == null && !PromptWord.is(own)) {
        throw Problem.usage(
            "%s: its word is '%s', which a prompt cannot hold as one word: give it another, as in --embedding my-word=%s"
                .formatted(path, Printable.shortened(own), path));
      }
      return new TokenEmbedding(own, vectors, values);
    }
  }

  private static float[] numbers(Arena arena, TensorSource file, TensorInfo info) {
    Tensor wide = arena.allocate(info.name(), DType.F32, info.sizes());
    file.readInto(wide, info.name());
    return wide.toFloats();
  }

  private static TensorInfo single(TensorSource file) {
    if (file.tensors().size() != 1) {
      throw Problem.data(
          "%s: expected an embedding, which is one tensor, found %d: %s"
              .formatted(
                  file.path(),
                  file.tensors().size(),
                  file.tensors().containsKey("clip_g")
                      ? "this one is for SDXL"
                      : "it is no file of textual inversion"));
    }
    return file.tensors().values().iterator().next();
  }

  private static int rows(
      TensorSource file, Component component, @Nullable TensorInfo info, int width) {
    if (info == null) {
      throw Problem.data(
          "%s: expected a tensor %s, for an embedding of SDXL has vectors for both text encoders, found %s"
              .formatted(file.path(), ofSdxl(component), file.tensors().keySet()));
    }
    List<Long> shape = info.shape();
    int axes = shape.size();
    boolean fits = axes >= 1 && axes <= 2 && shape.get(axes - 1) == width && info.dtype().isFloat();
    long rows = axes == 2 ? shape.get(0) : 1;
    if (!fits || rows < 1 || rows > TokenEmbedding.MOST_VECTORS) {
      throw Problem.data(
          "%s: tensor %s: expected 1 to %d vectors of %d numbers, which is what the %s of this model reads, found %s%s%s"
              .formatted(
                  file.path(),
                  info.name(),
                  TokenEmbedding.MOST_VECTORS,
                  width,
                  component.folder(),
                  info.dtype(),
                  shape,
                  axes == 2 ? madeFor(shape.get(1)) : ""));
    }
    return (int) rows;
  }

  private static String madeFor(long width) {
    return width == 768 ? " (made for SD 1)" : width == 1024 ? " (made for SD 2)" : "";
  }

  private static void requireFinite(Path path, Map<Component, float[]> values) {
    for (float[] each : values.values()) {
      for (float value : each) {
        if (!Float.isFinite(value)) {
          throw Problem.data(path + ": the embedding has numbers that are not finite");
        }
      }
    }
  }

  /** As the file says, or its name without its ending. */
  private static String word(TensorSource file) {
    String name = file.tensors().keySet().iterator().next();
    String noted = file.metadata().getOrDefault(WORD, file.metadata().getOrDefault("name", ""));
    String plain = String.valueOf(file.path().getFileName()).replaceFirst("\\.[^.]*$", "");
    return !NAMELESS.contains(name) ? name : noted.isEmpty() ? plain : noted;
  }
}
