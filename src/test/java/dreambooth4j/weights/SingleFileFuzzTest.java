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

/** Headers of single files: a name or a shape of any kind is a tensor of a model, or refused. */
@Timeout(60)
class SingleFileFuzzTest {
  static Stream<byte[]> headers() {
    String norm = "\"cond_stage_model.transformer.text_model.final_layer_norm.bias\"";
    String projection =
        "\"conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_bias\"";
    return Stream.of(
        header(norm + ":{\"dtype\":\"F16\",\"shape\":[768],\"data_offsets\":[0,1536]}"),
        header(projection + ":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[0,6]}"),
        header(
            "\"__metadata__\":{\"modelspec.prediction_type\":\"v\"},\"v_pred\":"
                + "{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[0,2]},"
                + "\"cond_stage_model.model.ln_final.weight\":"
                + "{\"dtype\":\"F16\",\"shape\":[1024],\"data_offsets\":[2,2050]}"));
  }

  private static byte[] header(String entries) {
    return ("{" + entries + "}").getBytes(StandardCharsets.UTF_8);
  }

  /** The content is a header; behind it are as many bytes as its first tensors may have. */
  @MethodSource("headers")
  @FuzzTest
  void shouldReadOrRefuse(byte[] header) {
    for (int data : new int[] {2, 6, 1536, 2050}) {
      ByteBuffer file =
          ByteBuffer.allocate(Long.BYTES + header.length + data).order(ByteOrder.LITTLE_ENDIAN);
      byte[] content = file.putLong(header.length).put(header).array();
      Untrusted.read("model.safetensors", content, SingleFileFuzzTest::check);
    }
  }

  private static void check(Path path) {
    ModelSource model = SingleFile.open(path, ModelOptions.NONE);
    for (Component each : model.pipeline().components()) {
      if (model.hasWeights(each)) {
        try (TensorSource weights = model.weights(each)) {
          assertThat(weights.tensors()).isNotEmpty();
        }
        assertThat(model.fingerprint(each)).hasSize(64);
      }
    }
  }
}
