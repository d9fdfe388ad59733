package dreambooth4j.weights;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import dreambooth4j.engine.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** LoRA files: what is accepted can be merged. */
@Timeout(60)
class LoraFuzzTest {
  private static final Map<String, long[]> UNET =
      Map.of("a.b.weight", new long[] {4, 6}, "c.weight", new long[] {4, 6, 3, 3});
  private static final ModelLayers MODEL = ModelLayers.of(Map.of(Component.UNET, UNET));

  static Stream<byte[]> files() {
    return Stream.of(
        file("", "lora_unet_a_b.lora_down.weight 2,6", "lora_unet_a_b.lora_up.weight 4,2"),
        file(
            "{\\\"unet.lora_alpha\\\":2,\\\"unet.alpha_pattern\\\":{\\\"a.b\\\":1}}",
            "unet.a.b.lora_A.weight 2,6",
            "unet.a.b.lora_B.weight 4,2",
            "unet.a.b.lora_magnitude_vector 4"),
        file(
            "",
            "lora_unet_c.alpha ",
            "lora_unet_c.dora_scale 4,1,1,1",
            "lora_unet_c.lora_down.weight 2,6,1,1",
            "lora_unet_c.lora_mid.weight 2,2,3,3",
            "lora_unet_c.lora_up.weight 4,2,1,1"),
        file(
            "",
            "lora_unet_c.hada_t1 2,2,3,3",
            "lora_unet_c.hada_w1_a 2,4",
            "lora_unet_c.hada_w1_b 2,6",
            "lora_unet_c.hada_w2_a 4,1",
            "lora_unet_c.hada_w2_b 1,54"),
        file(
            "",
            "lora_unet_c.lokr_t2 2,2,3,3",
            "lora_unet_c.lokr_w1_a 2,1",
            "lora_unet_c.lokr_w1_b 1,3",
            "lora_unet_c.lokr_w2_a 2,2",
            "lora_unet_c.lokr_w2_b 2,2"));
  }

  private static byte[] file(String metadata, String... tensors) {
    StringBuilder header =
        new StringBuilder(
            "{\"__metadata__\":{\"lora_adapter_metadata\":\"%s\"}"
                .formatted(metadata.isEmpty() ? "{}" : metadata));
    int end = 0;
    for (String each : tensors) {
      String[] parts = each.split(" ", -1);
      int bytes = 2;
      for (String size : parts[1].isEmpty() ? new String[0] : parts[1].split(",", -1)) {
        bytes *= Integer.parseInt(size);
      }
      header.append(
          ",\"%s\":{\"dtype\":\"F16\",\"shape\":[%s],\"data_offsets\":[%d,%d]}"
              .formatted(parts[0], parts[1], end, end + bytes));
      end += bytes;
    }
    byte[] json = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + json.length + end)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .array();
  }

  @MethodSource("files")
  @FuzzTest
  void shouldMergeOrRefuse(byte[] content) {
    Untrusted.read("lora.safetensors", content, LoraFuzzTest::check);
  }

  private static void check(Path path) {
    try (Arena run = Arena.open("fuzz");
        LoraFile file = LoraFile.open(path, MODEL)) {
      for (LoraLayer each : file.layers()) {
        long[] shape = UNET.getOrDefault(each.name() + ".weight", new long[0]);
        each.merged(run, run.zeros("weight", dreambooth4j.engine.DType.F32, shape), 0.5);
      }
    }
  }
}
