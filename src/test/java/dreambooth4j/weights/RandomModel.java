package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.pipeline.StableDiffusion;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Writes a diffusers folder of a published model's sizes with random weights, for {@code
 * bench/single-files}: {@code RandomModel SD1|SD2|SDXL F16|F32 FOLDER}.
 */
public final class RandomModel {
  private RandomModel() {}

  /** Writes it. */
  public static void main(String[] args) {
    Family family = Family.valueOf(args[0].toUpperCase(Locale.ROOT));
    PublishedModel model = PublishedModel.of(family);
    var index = FamilyConfigs.published(family, model.path()).index();
    DType type = DType.valueOf(args[1]);
    Path output = Path.of(args[2]);
    try (Arena run = Arena.open("random");
        FolderChanges changes = new FolderChanges(output)) {
      try (Arena dry = Arena.open("dry", OpBackend.dry(Device.CPU));
          StableDiffusion shapes = StableDiffusion.load(dry, model)) {
        for (Group group : shapes.groups()) {
          Component component = group.component();
          changes.add(
              output.resolve(component.folder()).resolve(component.weightsFile(null)),
              writer(group, type).body(run));
        }
      }
      for (Component component : Component.values()) {
        ComponentFiles files = model.files(component);
        for (String name : component.files()) {
          if (files.has(name)) {
            changes.add(
                output.resolve(component.folder()).resolve(name),
                StagedFiles.Body.of(SingleFile.content(files, name)));
          }
        }
      }
      changes.add(output.resolve(ModelFolder.INDEX), StagedFiles.Body.of(SingleFile.json(index)));
      changes.commit();
    }
  }

  private static SafetensorsWriter writer(Group group, DType type) {
    Random random = new Random(group.component().folder().hashCode());
    SafetensorsWriter writer = new SafetensorsWriter();
    List<Parameter> ordered = new ArrayList<>(group.parameters().all());
    ordered.sort(Comparator.comparing(each -> WeightNames.written(group.component(), each.name())));
    for (Parameter each : ordered) {
      String name = WeightNames.written(group.component(), each.name());
      writer.add(name, type, each.fileShape(), arena -> filled(arena, random, type, each));
    }
    return writer;
  }

  /** Any bits but those of infinities and of what is no number. */
  private static Tensor filled(Arena arena, Random random, DType type, Parameter like) {
    Tensor tensor = arena.allocate("random", type, like.fileShape());
    tensor.writeBytes((bytes, offset) -> fill(bytes, random, type));
    return tensor;
  }

  private static void fill(ByteBuffer bytes, Random random, DType type) {
    byte[] chunk = new byte[bytes.remaining()];
    random.nextBytes(chunk);
    for (int i = type.bytes() - 1; i < chunk.length; i += type.bytes()) {
      chunk[i] &= (byte) 0xbb; // the exponent's highest bit but one is 0
    }
    bytes.put(chunk);
  }
}
