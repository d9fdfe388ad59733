package dreambooth4j.train;

import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Copies of {@link TinyRun#MODEL} with something done to them. */
public final class TinyModel {
  private TinyModel() {}

  /**
   * Whether a weight of the UNet asks what one pixel alone answers: pictures of the tests' size
   * have no more in the middle, whose attention to itself is 1 whatever its queries and keys are.
   * Their gradient is 0, or what rounding makes of it.
   */
  static boolean attendsToOnePixel(String name) {
    return name.matches("mid_block\\..*\\.attn1\\.to_[qk]\\..*");
  }

  /**
   * A copy whose UNet does not hear prompts: what cross-attention would take from them is 0. So it
   * answers every prompt as every other.
   */
  public static void copyDeaf(Path target) throws IOException {
    copy(target);
    Path file = target.resolve("unet/diffusion_pytorch_model.safetensors");
    SafetensorsWriter writer = new SafetensorsWriter();
    try (Arena arena = Arena.open("copy");
        Safetensors source = Safetensors.open(file)) {
      for (String each : source.tensors().keySet()) {
        Tensor tensor = source.read(arena, each);
        if (each.endsWith("attn2.to_v.weight")) {
          tensor.zero_();
        }
        writer.add(each, tensor);
      }
      writer.write(arena, file);
    }
  }

  /** A whole copy in {@code target}. */
  public static void copy(Path target) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.walk(TinyRun.MODEL)) {
      files = all.filter(Files::isRegularFile).toList();
    }
    for (Path file : files) {
      Path place = target.resolve(TinyRun.MODEL.relativize(file));
      Files.createDirectories(place.getParent());
      Files.copy(file, place);
    }
  }

  /** A copy whose UNet has these notes among its weights. */
  public static void copyWithNotes(Path target, Map<String, String> notes) throws IOException {
    copy(target);
    Path file = target.resolve("unet/diffusion_pytorch_model.safetensors");
    SafetensorsWriter writer = new SafetensorsWriter();
    notes.forEach(writer::metadata);
    try (Arena arena = Arena.open("copy");
        Safetensors source = Safetensors.open(file)) {
      source.tensors().keySet().forEach(each -> writer.add(each, source.read(arena, each)));
      writer.write(arena, file);
    }
  }

  /**
   * A copy in which every element of one tensor has this value.
   *
   * @param value null leaves the tensor out
   */
  public static void copyWith(Path target, String component, String name, @Nullable Float value)
      throws IOException {
    copy(target);
    Path file = target.resolve(component).resolve("diffusion_pytorch_model.safetensors");
    SafetensorsWriter writer = new SafetensorsWriter();
    try (Arena arena = Arena.open("copy");
        Safetensors source = Safetensors.open(file)) {
      for (String each : source.tensors().keySet()) {
        Tensor tensor = source.read(arena, each);
        if (each.equals(name) && value != null) {
          float[] values = new float[(int) tensor.count()];
          Arrays.fill(values, value);
          tensor.copyFrom(values);
        }
        if (!each.equals(name) || value != null) {
          writer.add(each, tensor);
        }
      }
      writer.write(arena, file);
    }
  }

  /** What tells the numbers of a safetensors file; its header may have the time of day. */
  public static String numbers(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int header = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    int begin = Long.BYTES + header;
    return HexFormat.of()
        .formatHex(Sha256.digest().digest(Arrays.copyOfRange(bytes, begin, bytes.length)));
  }
}
