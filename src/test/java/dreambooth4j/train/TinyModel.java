package dreambooth4j.train;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.UntrainedModel;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.ModelSource;
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
import java.util.Random;
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

  /**
   * A smaller one, for tests that read and write whole models often: random weights, two levels
   * rather than four and one layer of the text encoder, hence half as many tensors in its files.
   *
   * @return {@code target}, which becomes its folder
   */
  static Path small(Path target) throws IOException {
    Path sizes = target.resolveSibling(target.getFileName() + "-sizes");
    copy(sizes);
    Files.delete(sizes.resolve("unet/diffusion_pytorch_model.safetensors"));
    Files.delete(sizes.resolve("text_encoder/model.safetensors"));
    change(
        sizes.resolve("unet/config.json"),
        Map.of(
            "block_out_channels", List.of(8, 8),
            "down_block_types", List.of("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types", List.of("UpBlock2D", "CrossAttnUpBlock2D")));
    change(sizes.resolve("text_encoder/config.json"), Map.of("num_hidden_layers", 1));
    ModelSource untrained = new UntrainedModel(ModelFolder.open(sizes, null), 1);
    Component[] components = {Component.UNET, Component.TEXT_ENCODER};
    Random random = new Random(1);
    try (Arena arena = Arena.open("small");
        StableDiffusion model = StableDiffusion.load(arena, untrained, components)) {
      for (Component component : components) {
        for (Parameter each : model.parameters(component).all()) {
          float[] values = each.master().toFloats();
          for (int i = 0; i < values.length; i++) {
            values[i] += (float) (0.02 * random.nextGaussian());
          }
          each.master().copyFrom(values);
        }
      }
      model.save(arena, Map.of(), target);
    }
    return target;
  }

  private static void change(Path config, Map<String, Object> values) throws IOException {
    JsonMapper json = new JsonMapper();
    ObjectNode all = (ObjectNode) json.readTree(config.toFile());
    values.forEach((key, value) -> all.set(key, json.valueToTree(value)));
    json.writeValue(config.toFile(), all);
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
