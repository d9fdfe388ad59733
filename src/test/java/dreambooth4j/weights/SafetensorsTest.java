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
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class SafetensorsTest {
  @TempDir Path folder;

  /** A file of this header, which may use single quotes for double ones, and so many data bytes. */
  private Path file(String header, byte[] data) throws IOException {
    byte[] json = header.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    return raw(json.length, json, data);
  }

  private Path raw(long length, byte[] json, byte[] data) throws IOException {
    ByteBuffer all =
        ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    all.putLong(length).put(json).put(data);
    return Files.write(folder.resolve("a.safetensors"), all.array());
  }

  private static byte[] floats(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  private AbstractThrowableAssert<?, ?> refused(Path file) {
    return assertThatThrownBy(() -> Safetensors.open(file).close())
        .isInstanceOf(Problem.class)
        .hasMessageStartingWith(file.toString());
  }

  private AbstractThrowableAssert<?, ?> refused(String header, int dataBytes) throws IOException {
    return refused(file(header, new byte[dataBytes]));
  }

  @Test
  void shouldReadTensorsAsTheyAreStored() throws IOException {
    Path path =
        file(
            "{'b':{'dtype':'F32','shape':[2],'data_offsets':[4,12]},"
                + "'__metadata__':{'format':'pt'},"
                + "'a':{'dtype':'F32','shape':[],'data_offsets':[0,4]},"
                + "'none':{'dtype':'I64','shape':[0,3],'data_offsets':[12,12]}}   ",
            floats(7, 8, 9));
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(path)) {
      assertThat(file.tensors().keySet()).containsExactly("a", "b", "none");
      assertThat(file.metadata()).containsOnlyKeys("format").containsValue("pt");
      assertThat(file.read(run, "a").item()).isEqualTo(7);
      assertThat(file.read(run, "a").rank()).isZero();
      assertThat(file.read(run, "b").toFloats()).containsExactly(8, 9);
      assertThat(file.read(run, "none").hasShape(0, 3)).isTrue();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "F64, 000000000000f83f", "F32, 0000c03f", "BF16, c03f", "F16, 003e", "I64, feffffffffffffff",
    "I32, feffffff", "I16, feff", "I8, fe", "U8, fe", "BOOL, 01"
  })
  void shouldConvertEveryType(String dtype, String hex) throws IOException {
    byte[] bytes = HexFormat.of().parseHex(hex);
    Path path =
        file(
            "{'x':{'dtype':'%s','shape':[1],'data_offsets':[0,%d]}}".formatted(dtype, bytes.length),
            bytes);
    double expected =
        switch (dtype) {
          case "U8" -> 254;
          case "BOOL" -> 1;
          default -> DType.valueOf(dtype).isFloat() ? 1.5 : -2;
        };
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(path)) {
      Tensor target = run.zeros("target", DType.F32, 1);
      file.readInto(target, "x");
      assertThat(target.toFloats()[0]).isEqualTo((float) expected);
      assertThat(file.read(run, "x").dtype()).isEqualTo(DType.valueOf(dtype));
      assertThat(run.meter().liveCount()).isEqualTo(2);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void shouldPutConvolutionWeightsInTheOrderOfMemory(DType held) throws IOException {
    float[] values = new float[2 * 3 * 2 * 2];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    Path path =
        file("{'w':{'dtype':'F32','shape':[2,3,2,2],'data_offsets':[0,96]}}", floats(values));
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(path)) {
      Parameters parameters = new Parameters(held);
      Parameter weight = parameters.declare("w", 2, 3, 2, 2);
      parameters.allocate(run, false);
      file.readInto(weight, "w");
      Tensor back = run.zeros("back", DType.F32, 2, 2, 2, 3);
      back.copyFrom(weight.weight());
      // [out, in, height, width] = [0, 0..2, 0, 0] are 0, 4, 8 in the file.
      assertThat(back.toFloats()).startsWith(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
      Tensor inFileOrder = weight.toFileOrder(run, weight.weight());
      back.reshaped(2, 3, 2, 2).copyFrom(inFileOrder);
      assertThat(back.toFloats()).containsExactly(values);
    }
  }

  @Test
  void shouldReadALinearLayerIntoAConvolutionOfOne() throws IOException {
    Path path =
        file("{'w':{'dtype':'F32','shape':[2,2],'data_offsets':[0,16]}}", floats(1, 2, 3, 4));
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(path)) {
      for (DType held : new DType[] {DType.F32, DType.F64}) {
        Parameters parameters = new Parameters(held);
        Parameter weight = parameters.declare("w", 2, 2, 1, 1);
        parameters.allocate(run, false);
        file.readInto(weight, "w");
        Tensor back = run.zeros("back", DType.F32, 4);
        back.copyFrom(weight.weight().reshaped(4));
        assertThat(back.toFloats()).containsExactly(1, 2, 3, 4);
      }
    }
  }

  @Test
  void shouldReadBeyondTwoGigabytes() throws IOException {
    long large = 3L << 30;
    String header =
        "{\"large\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[0,%d]},"
                .formatted(large, large)
            + "\"small\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%d,%d]}}"
                .formatted(large, large + 4);
    Path path = file(header, new byte[0]);
    try (RandomAccessFile sparse = new RandomAccessFile(path.toFile(), "rw")) {
      long start = sparse.length() + large;
      sparse.setLength(start + 4);
      sparse.seek(start);
      sparse.write(floats(42));
    }
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(path)) {
      assertThat(file.read(run, "small").toFloats()).containsExactly(42);
      run.meter().limit(1 << 20);
      assertThatThrownBy(() -> file.read(run, "large")).isInstanceOf(Problem.class);
    }
  }

  @Test
  void shouldNameTheTensorThatIsMissing() throws IOException {
    Path path = file("{'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}}", floats(1));
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(path)) {
      assertThatThrownBy(() -> file.read(run, "y"))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("a.safetensors")
          .hasMessageContaining("expected a tensor y");
    }
  }

  @Test
  void shouldNameTheShapeThatIsWrong() throws IOException {
    Path path = file("{'x':{'dtype':'F32','shape':[2,1],'data_offsets':[0,8]}}", floats(1, 2));
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(path)) {
      Parameters parameters = new Parameters(DType.F32);
      Parameter weight = parameters.declare("x", 1, 2);
      parameters.allocate(run, false);
      assertThatThrownBy(() -> file.readInto(weight, "x"))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("tensor x: expected [1, 2], found F32[2, 1]");
      assertThatThrownBy(() -> file.readInto(run.zeros("t", DType.F32, 3), "x"))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("expected F32[3], found F32[2, 1]");
    }
  }

  @Test
  void shouldNoticeAFileThatShrinksWhileItIsOpen() throws IOException {
    Path path = file("{'x':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}", floats(1, 2));
    try (Arena run = Arena.open("run");
        Safetensors file = Safetensors.open(path);
        RandomAccessFile shrinking = new RandomAccessFile(path.toFile(), "rw")) {
      shrinking.setLength(shrinking.length() - 4);
      assertThatThrownBy(() -> file.read(run, "x"))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("tensor x: expected 8 bytes, found 4");
    }
  }

  @Test
  void shouldRejectAFileThatIsNotThere() {
    refused(folder.resolve("none.safetensors")).hasMessageContaining("is not there");
    refused(folder).hasMessageContaining("is a folder, where a file is needed");
  }

  @Test
  void shouldRejectTruncatedHeader() throws IOException {
    refused(Files.write(folder.resolve("short.safetensors"), new byte[5]))
        .hasMessageContaining("found a file of 5 bytes");
    refused(raw(50, "{\"x\":{".getBytes(StandardCharsets.UTF_8), new byte[0]))
        .hasMessageContaining("expected a header of 2 to 6 bytes, found a length of 50");
    refused("{'x':{'dtype':'F32',", 0).hasMessageContaining("not valid JSON");
  }

  @Test
  void shouldRejectLyingHeaderLengths() throws IOException {
    byte[] json = "{}".getBytes(StandardCharsets.UTF_8);
    refused(raw(-1, json, new byte[0]))
        .hasMessageContaining("found a length of 18446744073709551615");
    refused(raw(Long.MAX_VALUE, json, new byte[0])).hasMessageContaining("found a length of");
    refused(raw(0, json, new byte[0])).hasMessageContaining("found a length of 0");
    Path large = raw(200_000_000, json, new byte[0]);
    try (RandomAccessFile sparse = new RandomAccessFile(large.toFile(), "rw")) {
      sparse.setLength(1L << 30);
    }
    refused(large).hasMessageContaining("expected a header of 2 to 100000000 bytes");
  }

  @Test
  void shouldRejectHeadersThatAreNotJson() throws IOException {
    refused(file("<html>", new byte[90])).hasMessageContaining("not valid JSON");
    refused(raw(4, new byte[] {'{', (byte) 0xff, (byte) 0xfe, '}'}, new byte[0]))
        .hasMessageContaining("not valid JSON");
    refused("[]", 0).hasMessageContaining("expected START_OBJECT");
    refused("{'x':3}", 0).hasMessageContaining("x: expected START_OBJECT");
    refused("{} {}", 0).hasMessageContaining("expected the header to end");
    refused("{'__metadata__':{'a':[]}}", 0).hasMessageContaining("__metadata__ a");
    refused("[".repeat(100_000), 0).isInstanceOf(Problem.class);
  }

  @Test
  void shouldRejectDuplicateNames() throws IOException {
    String x = "'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}";
    refused("{" + x + "," + x + "}", 4).hasMessageContaining("Duplicate field 'x'");
  }

  @Test
  void shouldRejectUnknownTypes() throws IOException {
    refused("{'x':{'dtype':'F8_E4M3','shape':[4],'data_offsets':[0,4]}}", 4)
        .hasMessageContaining("tensor x: expected a dtype of [F64, F32,")
        .hasMessageContaining("found F8_E4M3");
  }

  @Test
  void shouldRejectIncompleteEntries() throws IOException {
    refused("{'x':{'dtype':'F32','shape':[1]}}", 4).hasMessageContaining("data_offsets=null");
    refused("{'x':{'dtype':'F32','shape':[1],'data_offsets':[0]}}", 4)
        .hasMessageContaining("data_offsets=[0]");
    refused("{'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4,8]}}", 4)
        .hasMessageContaining("expected at most 2 numbers");
    refused("{'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4],'y':1}}", 4)
        .hasMessageContaining("unexpected key y");
    refused("{'x':{'dtype':'F32','shape':[" + "1,".repeat(64) + "1],'data_offsets':[0,4]}}", 4)
        .hasMessageContaining("expected at most 64 numbers");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[-1]          | [0,4]   | from 0 on, found -1",
        "[1]           | [-4,0]  | from 0 on, found -4",
        "[99999999999999999999] | [0,4] | from 0 on, found 99999999999999999999",
        "[1.5]         | [0,4]   | expected VALUE_NUMBER_INT",
        "['1']         | [0,4]   | expected VALUE_NUMBER_INT",
        "[4294967296,4294967296] | [0,4] | more than any file can hold",
        "[9223372036854775807]   | [0,4] | more than any file can hold",
        "[1]           | [9223372036854775804,9223372036854775807] | more than any file can hold",
        "[2]           | [0,4]   | expected 8 bytes for F32[2], found data_offsets 0 to 4",
        "[1]           | [4,0]   | expected 4 bytes for F32[1], found data_offsets 4 to 0",
        "[2]           | [0,8]   | it is truncated",
      })
  void shouldRejectLyingSizes(String shape, String offsets, String message) throws IOException {
    refused("{'x':{'dtype':'F32','shape':%s,'data_offsets':%s}}".formatted(shape, offsets), 4)
        .hasMessageContaining("tensor x")
        .hasMessageContaining(message);
  }

  @Test
  void shouldRejectOverlapsHolesAndLeftovers() throws IOException {
    String two =
        "{'x':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},"
            + "'y':{'dtype':'F32','shape':[2],'data_offsets':[%d,%d]}}";
    refused(two.formatted(4, 12), 12)
        .hasMessageContaining("tensor y")
        .hasMessageContaining("overlap");
    refused(two.formatted(0, 8), 8)
        .hasMessageContaining("tensor y")
        .hasMessageContaining("overlap");
    refused(two.formatted(12, 20), 20)
        .hasMessageContaining("tensor y")
        .hasMessageContaining("hole");
    refused(two.formatted(8, 16), 17).hasMessageContaining("by its header, found");
    refused(two.formatted(8, 16), 15)
        .hasMessageContaining("tensor y")
        .hasMessageContaining("truncated");
    refused("{}", 1).hasMessageContaining("by its header, found");
  }
}
