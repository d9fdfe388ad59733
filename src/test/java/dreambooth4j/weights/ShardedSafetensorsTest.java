package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ShardedSafetensorsTest {
  @TempDir Path folder;

  @BeforeEach
  void shards() {
    try (Arena run = Arena.open("run")) {
      new SafetensorsWriter()
          .add("x", run.floats("x", new float[] {1, 2}, 2))
          .write(run, folder.resolve("m-1.safetensors"));
      new SafetensorsWriter()
          .add("y", run.floats("y", new float[] {3}, 1))
          .write(run, folder.resolve("m-2.safetensors"));
    }
  }

  private Path index(String weightMap) throws IOException {
    return Files.writeString(
        folder.resolve("m.safetensors.index.json"),
        "{\"metadata\":{\"total_size\":12},\"weight_map\":%s}"
            .formatted(weightMap.replace('\'', '"')));
  }

  private AbstractThrowableAssert<?, ?> refused(String weightMap) throws IOException {
    Path index = index(weightMap);
    return assertThatThrownBy(() -> ShardedSafetensors.open(index).close())
        .isInstanceOf(Problem.class);
  }

  @Test
  void shouldReadFromTheFileThatHoldsTheTensor() throws IOException {
    Path index = index("{'y':'m-2.safetensors','x':'m-1.safetensors'}");
    try (Arena run = Arena.open("run");
        TensorSource shards = ShardedSafetensors.open(index)) {
      assertThat(shards.tensors()).containsOnlyKeys("x", "y");
      assertThat(shards.read(run, "x").toFloats()).containsExactly(1, 2);
      assertThat(shards.read(run, "y").toFloats()).containsExactly(3);
      assertThat(shards.fileOf("y")).isEqualTo(folder.resolve("m-2.safetensors"));
      assertThatThrownBy(() -> shards.read(run, "z"))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("expected a tensor z");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../m-1.safetensors",
        "/etc/m-1.safetensors",
        "sub/m-1.safetensors",
        "sub\\\\m-1.safetensors",
        "..",
        "m-1.bin",
        ""
      })
  void shouldRejectFilesOutsideItsFolder(String name) throws IOException {
    refused("{'x':'%s','y':'m-2.safetensors'}".formatted(name))
        .hasMessageContaining("tensor x: expected the name of a .safetensors file");
  }

  @Test
  void shouldRejectAnIndexThatDisagreesWithItsFiles() throws IOException {
    refused("{'x':'m-1.safetensors','y':'m-3.safetensors'}")
        .hasMessageContaining("m-3.safetensors is not there");
    refused("{'x':'m-1.safetensors','y':'m-2.safetensors','z':'m-2.safetensors'}")
        .hasMessageContaining("tensor z: expected in m-2.safetensors");
    refused("{'x':'m-1.safetensors','z':'m-2.safetensors'}")
        .hasMessageContaining("tensor y: expected in no file");
  }

  @Test
  void shouldRejectAnIndexWithoutAMap() throws IOException {
    refused("{}").hasMessageContaining("expected a weight_map");
    refused("[1]").hasMessageContaining("expected a weight_map");
    refused("{'x':'m-1.safetensors','x':'m-2.safetensors'}").hasMessageContaining("Duplicate");
    refused("{'x':3}").hasMessageContaining("tensor x");
  }
}
