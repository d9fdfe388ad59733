package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SafetensorsWriterTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource
  void shouldReadBackWhatItWrote(DType dtype) {
    Path path = folder.resolve("a.safetensors");
    try (Arena run = Arena.open("run")) {
      Tensor values = run.allocate("values", dtype, 3, 1, 2);
      values.copyFrom(run.floats("floats", new float[] {0, 1, 1, 0, 1, 0}, 3, 1, 2));
      Tensor scalar = run.zeros("scalar", dtype);
      Tensor none = run.zeros("none", dtype, 0, 4);
      new SafetensorsWriter()
          .add("values", values)
          .add("scalar", scalar)
          .add("none", none)
          .metadata("case", "{\"é\": 1}")
          .write(run, path);
      try (Safetensors file = Safetensors.open(path)) {
        assertThat(file.metadata())
            .containsEntry("format", "pt")
            .containsEntry("case", "{\"é\": 1}");
        Tensor back = file.read(run, "values");
        assertThat(back.dtype()).isEqualTo(dtype);
        assertThat(back.hasShape(3, 1, 2)).isTrue();
        assertThat(Golden.floats(run, back)).containsExactly(0, 1, 1, 0, 1, 0);
        assertThat(file.read(run, "scalar").rank()).isZero();
        assertThat(file.read(run, "none").hasShape(0, 4)).isTrue();
      }
    }
  }

  @Test
  void shouldAlignEveryTensor() throws IOException {
    Path path = folder.resolve("a.safetensors");
    try (Arena run = Arena.open("run")) {
      SafetensorsWriter writer = new SafetensorsWriter();
      for (DType dtype : new DType[] {DType.U8, DType.F16, DType.F64, DType.F32}) {
        writer.add(dtype.name(), run.zeros("t", dtype, 3));
      }
      writer.write(run, path);
      long header =
          ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN).getLong();
      assertThat(header % 8).isZero();
      try (Safetensors file = Safetensors.open(path)) {
        assertThat(file.tensors().values())
            .allSatisfy(info -> assertThat(info.offset() % info.dtype().bytes()).isZero());
      }
    }
  }

  @Test
  void shouldWriteWeightsInTheOrderOfFiles() {
    Path path = folder.resolve("a.safetensors");
    float[] values = new float[24];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    try (Arena run = Arena.open("run")) {
      Parameters parameters = new Parameters(DType.F32);
      Parameter weight = parameters.declare("w", 2, 3, 2, 2);
      parameters.allocate(run, false);
      weight.read(run.floats("file", values, 2, 3, 2, 2));
      long before = run.meter().liveCount();
      Group group = new Group(Component.UNET, parameters, 1, (f, a, g, n, o) -> {});
      try (TensorSource source = new GroupTensors(folder, group, Map.of())) {
        new SafetensorsWriter()
            .add("f32", source, "w", null)
            .add("bf16", source, "w", DType.BF16)
            .write(run, path);
      }
      assertThat(run.meter().liveCount()).isEqualTo(before);
      try (Safetensors file = Safetensors.open(path)) {
        assertThat(file.read(run, "f32").toFloats()).containsExactly(values);
        assertThat(file.read(run, "bf16").dtype()).isEqualTo(DType.BF16);
        assertThat(Golden.floats(run, file.read(run, "bf16"))).containsExactly(values);
        assertThat(file.read(run, "bf16").hasShape(2, 3, 2, 2)).isTrue();
      }
    }
  }

  @Test
  void shouldRefuseANameTwice() {
    try (Arena run = Arena.open("run")) {
      Tensor x = run.zeros("x", DType.F32, 1);
      SafetensorsWriter writer = new SafetensorsWriter().add("x", x);
      assertThatThrownBy(() -> writer.add("x", x)).hasMessageContaining("x was added twice");
      assertThatThrownBy(() -> writer.add("__metadata__", x)).hasMessageContaining("reserved");
    }
  }

  @Test
  void shouldLeaveTheOldFileWhereTheNewOneFails() throws IOException {
    Path path = folder.resolve("a.safetensors");
    Files.writeString(path, "old");
    assertThatThrownBy(
            () ->
                StagedFiles.write(
                    path,
                    channel -> {
                      channel.write(ByteBuffer.allocate(10));
                      throw new IOException("No space left on device");
                    }))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("a.safetensors: cannot be written: No space left on device");
    assertThat(path).hasContent("old");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(path);
    }
  }

  @Test
  void shouldSayWhereItCannotWrite() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    try (Arena run = Arena.open("run")) {
      assertThatThrownBy(() -> new SafetensorsWriter().write(run, file.resolve("a.safetensors")))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("a.safetensors: cannot be written");
    }
  }
}
