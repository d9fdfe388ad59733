package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Writes adapters as one file, under peft's names with the component in front. */
public final class AdapterWriter implements Export {
  @Override
  public void write(Arena arena, List<Group> groups, Map<String, String> notes, Path output) {
    SafetensorsWriter writer = new SafetensorsWriter();
    new TreeMap<>(notes).forEach(writer::metadata);
    for (Group group : groups) {
      for (Parameter each : group.parameters().all()) {
        writer.add(
            group.component().folder() + "." + each.name(), DType.F32, each, each.saved());
      }
    }
    writer.write(arena, output.resolve("lora.safetensors"));
  }
}
