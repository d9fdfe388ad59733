package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** Headers of safetensors files: what is accepted lies inside the file. */
@Timeout(60)
class SafetensorsFuzzTest {
  static Stream<byte[]> files() {
    return Stream.of(
        file("{}", 0),
        file(
            "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                + "\"b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[8,10]},"
                + "\"c\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[10,10]}}",
            10));
  }

  private static byte[] file(String header, int data) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer file = ByteBuffer.allocate(8 + json.length + data).order(ByteOrder.LITTLE_ENDIAN);
    return file.putLong(json.length).put(json).array();
  }

  @MethodSource("files")
  @FuzzTest
  void shouldReadOrRefuse(byte[] content) {
    Untrusted.read("model.safetensors", content, file -> check(file, content.length));
  }

  private static void check(Path file, int length) {
    try (Safetensors weights = Safetensors.open(file)) {
      for (TensorInfo info : weights.tensors().values()) {
        assertThat(info.offset()).isBetween(8L, (long) length);
        assertThat(info.offset() + info.bytes()).isLessThanOrEqualTo(length);
      }
    }
  }
}
