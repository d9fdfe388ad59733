package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LoraFileTest {
  private static final String LINEAR = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
  private static final String SPATIAL = "mid_block.resnets.0.conv1";
  private static final String KOHYA =
      "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
  private static final String KOHYA_SPATIAL = "lora_unet_mid_block_resnets_0_conv1";

  /** A linear layer [4, 6] and a convolution [4, 6, 3, 3], and one of a text encoder [4, 4]. */
  private static final ModelLayers MODEL =
      ModelLayers.of(
          Map.of(
              Component.UNET,
              Map.of(
                  LINEAR + ".weight", new long[] {4, 6},
                  SPATIAL + ".weight", new long[] {4, 6, 3, 3}),
              Component.TEXT_ENCODER,
              Map.of("encoder.layers.0.mlp.fc1.weight", new long[] {4, 4})));

  @TempDir private Path folder;

  private final Map<String, long[]> shapes = new LinkedHashMap<>();
  private final Map<String, String> notes = new LinkedHashMap<>();
  private DType type = DType.F32;

  private LoraFileTest with(String name, long... shape) {
    shapes.put(name, shape);
    return this;
  }

  /** What the i-th element of a tensor is: halves hold it exactly. */
  private static float value(String name, long i) {
    return ((Math.abs(name.hashCode() % 1000) + 37 * i) % 64 - 31) / 32f;
  }

  private static double[] values(String name, long... shape) {
    double[] values = new double[(int) Tensor.count(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] = name.endsWith("alpha") ? 3 : value(name, i);
    }
    return values;
  }

  private Path write() {
    Path file = folder.resolve("lora.safetensors");
    SafetensorsWriter writer = new SafetensorsWriter();
    notes.forEach(writer::metadata);
    try (Arena run = Arena.open("write")) {
      shapes.forEach(
          (name, shape) -> {
            double[] all = values(name, shape);
            float[] floats = new float[all.length];
            for (int i = 0; i < all.length; i++) {
              floats[i] = (float) all[i];
            }
            Tensor tensor = run.allocate(name, type, shape);
            tensor.copyFrom(run.floats(name, floats, shape));
            writer.add(name, tensor);
          });
      writer.write(run, file);
    }
    return file;
  }

  private List<LoraLayer> layers() {
    try (LoraFile file = LoraFile.open(write(), MODEL)) {
      return file.layers();
    }
  }

  /** The only layer's change, of a weight of zeros and strength 1. */
  private double[] merged(double weight, double strength) {
    try (Arena run = Arena.open("merge");
        LoraFile file = LoraFile.open(write(), MODEL)) {
      LoraLayer layer = file.layers().get(0);
      long[] shape =
          Objects.requireNonNull(MODEL.of(layer.component()).get(layer.name())).stream()
              .mapToLong(s -> s)
              .toArray();
      float[] base = new float[(int) Tensor.count(shape)];
      for (int i = 0; i < base.length; i++) {
        base[i] = (float) (weight * value("weight", i));
      }
      float[] made = layer.merged(run, run.floats("base", base, shape), strength).toFloats();
      double[] doubles = new double[made.length];
      for (int i = 0; i < made.length; i++) {
        doubles[i] = made[i];
      }
      return doubles;
    }
  }

  /** [m, r] times [r, n]. */
  private static double[] product(double[] left, double[] right, int m, int r, int n) {
    double[] product = new double[m * n];
    for (int i = 0; i < m; i++) {
      for (int k = 0; k < r; k++) {
        for (int j = 0; j < n; j++) {
          product[i * n + j] += left[i * r + k] * right[k * n + j];
        }
      }
    }
    return product;
  }

  /** Σ left[i, p] core[i, j, a] right[j, q], as [p, q, a]. */
  private static double[] tucker(
      double[] left, double[] core, double[] right, int r, int rows, int columns, int area) {
    double[] all = new double[rows * columns * area];
    for (int i = 0; i < r; i++) {
      for (int j = 0; j < r; j++) {
        for (int p = 0; p < rows; p++) {
          for (int q = 0; q < columns; q++) {
            for (int a = 0; a < area; a++) {
              all[(p * columns + q) * area + a] +=
                  left[i * rows + p] * core[(i * r + j) * area + a] * right[j * columns + q];
            }
          }
        }
      }
    }
    return all;
  }

  /** [a, b] and [c, d, area], as [a c, b d, area]. */
  private static double[] kronecker(
      double[] left, double[] right, int a, int b, int c, int d, int area) {
    double[] all = new double[a * b * c * d * area];
    for (int i = 0; i < a * c; i++) {
      for (int j = 0; j < b * d; j++) {
        for (int s = 0; s < area; s++) {
          all[(i * b * d + j) * area + s] =
              left[i / c * b + j / d] * right[(i % c * d + j % d) * area + s];
        }
      }
    }
    return all;
  }

  private static double[] scaled(double[] values, double by) {
    double[] all = values.clone();
    for (int i = 0; i < all.length; i++) {
      all[i] *= by;
    }
    return all;
  }

  private static void assertClose(double[] found, double[] expected) {
    assertThat(found).hasSize(expected.length);
    for (int i = 0; i < expected.length; i++) {
      assertThat(found[i]).isCloseTo(expected[i], within(2e-5));
    }
  }

  @ParameterizedTest
  @CsvSource({
    KOHYA + ", lora_down.weight, lora_up.weight",
    "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q, lora_down.weight, lora_up.weight",
    "unet." + LINEAR + ", lora_A.weight, lora_B.weight",
    "unet." + LINEAR + ", lora_A.default.weight, lora_B.default.weight",
    "unet." + LINEAR + ", lora.down.weight, lora.up.weight",
    LINEAR + ", lora.down.weight, lora.up.weight",
    "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor, to_q_lora.down.weight,"
        + " to_q_lora.up.weight",
    "mid_block.attentions.0.transformer_blocks.0.attn1.processor, to_q_lora.down.weight,"
        + " to_q_lora.up.weight",
  })
  void shouldReadEveryNaming(String layer, String down, String up) {
    with(layer + "." + down, 2, 6).with(layer + "." + up, 4, 2);

    List<LoraLayer> layers = layers();

    assertThat(layers).hasSize(1);
    assertThat(layers.get(0).component()).isEqualTo(Component.UNET);
    assertThat(layers.get(0).name()).isEqualTo(LINEAR);
    assertThat(layers.get(0).scale()).as("no alpha is the rank").isEqualTo(1);
    double[] expected =
        product(values(layer + "." + up, 4, 2), values(layer + "." + down, 2, 6), 4, 2, 6);
    assertClose(merged(0, 1), expected);
  }

  @Test
  void shouldScaleByAlphaAndStrength() {
    with(KOHYA_SPATIAL + ".lora_down.weight", 2, 6, 3, 3)
        .with(KOHYA_SPATIAL + ".lora_up.weight", 4, 2, 1, 1)
        .with(KOHYA_SPATIAL + ".alpha");
    type = DType.F16;
    double[] change =
        product(
            values(KOHYA_SPATIAL + ".lora_up.weight", 4, 2),
            values(KOHYA_SPATIAL + ".lora_down.weight", 2, 54),
            4,
            2,
            54);

    assertThat(layers().get(0).scale()).isEqualTo(1.5);
    assertClose(merged(0, 0.5), scaled(change, 0.75));
  }

  @Test
  void shouldMultiplyByTheCoreOfAConvolution() {
    with(KOHYA_SPATIAL + ".lora_down.weight", 2, 6, 1, 1)
        .with(KOHYA_SPATIAL + ".lora_mid.weight", 2, 2, 3, 3)
        .with(KOHYA_SPATIAL + ".lora_up.weight", 4, 2, 1, 1);
    double[] up = values(KOHYA_SPATIAL + ".lora_up.weight", 4, 2);
    double[] turned = new double[8];
    for (int i = 0; i < 8; i++) {
      turned[i % 2 * 4 + i / 2] = up[i];
    }

    assertClose(
        merged(0, 1),
        tucker(
            turned,
            values(KOHYA_SPATIAL + ".lora_mid.weight", 36),
            values(KOHYA_SPATIAL + ".lora_down.weight", 12),
            2,
            4,
            6,
            9));
  }

  private double[] hada(String layer, String which, boolean cored) {
    double[] a = values(layer + ".hada_w" + which + "_a", 8);
    String right = layer + ".hada_w" + which + "_b";
    return cored
        ? tucker(a, values(layer + ".hada_t" + which, 36), values(right, 12), 2, 4, 6, 9)
        : product(a, values(right, 2 * 54), 4, 2, 54);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldMultiplyLohasProducts(boolean cored) {
    for (String which : List.of("1", "2")) {
      with(KOHYA_SPATIAL + ".hada_w" + which + "_a", cored ? 2 : 4, cored ? 4 : 2);
      with(KOHYA_SPATIAL + ".hada_w" + which + "_b", 2, cored ? 6 : 54);
      if (cored) {
        with(KOHYA_SPATIAL + ".hada_t" + which, 2, 2, 3, 3);
      }
    }
    with(KOHYA_SPATIAL + ".alpha");
    double[] first = hada(KOHYA_SPATIAL, "1", cored);
    double[] second = hada(KOHYA_SPATIAL, "2", cored);
    for (int i = 0; i < first.length; i++) {
      first[i] *= second[i] * 1.5;
    }

    assertClose(merged(0, 1), first);
  }

  @Test
  void shouldMultiplyLokrsMatricesWithoutAScale() {
    with(KOHYA + ".lokr_w1", 2, 3).with(KOHYA + ".lokr_w2", 2, 2).with(KOHYA + ".alpha");

    assertClose(
        merged(0, 1),
        kronecker(values(KOHYA + ".lokr_w1", 6), values(KOHYA + ".lokr_w2", 4), 2, 3, 2, 2, 1));
  }

  @Test
  void shouldMultiplyLokrsProducts() {
    with(KOHYA_SPATIAL + ".lokr_w1_a", 2, 1)
        .with(KOHYA_SPATIAL + ".lokr_w1_b", 1, 3)
        .with(KOHYA_SPATIAL + ".lokr_w2_a", 2, 2)
        .with(KOHYA_SPATIAL + ".lokr_w2_b", 2, 18)
        .with(KOHYA_SPATIAL + ".alpha");
    double[] first =
        product(
            values(KOHYA_SPATIAL + ".lokr_w1_a", 2),
            values(KOHYA_SPATIAL + ".lokr_w1_b", 3),
            2,
            1,
            3);
    double[] second =
        product(
            values(KOHYA_SPATIAL + ".lokr_w2_a", 4),
            values(KOHYA_SPATIAL + ".lokr_w2_b", 36),
            2,
            2,
            18);

    assertClose(merged(0, 1), scaled(kronecker(first, second, 2, 3, 2, 2, 9), 1.5));
  }

  @Test
  void shouldMultiplyLokrsCore() {
    with(KOHYA_SPATIAL + ".lokr_w1", 2, 3)
        .with(KOHYA_SPATIAL + ".lokr_w2_a", 2, 2)
        .with(KOHYA_SPATIAL + ".lokr_w2_b", 2, 2)
        .with(KOHYA_SPATIAL + ".lokr_t2", 2, 2, 3, 3);
    double[] second =
        tucker(
            values(KOHYA_SPATIAL + ".lokr_w2_a", 4),
            values(KOHYA_SPATIAL + ".lokr_t2", 36),
            values(KOHYA_SPATIAL + ".lokr_w2_b", 4),
            2,
            2,
            2,
            9);

    assertClose(
        merged(0, 1), kronecker(values(KOHYA_SPATIAL + ".lokr_w1", 6), second, 2, 3, 2, 2, 9));
  }

  @ParameterizedTest
  @CsvSource({"dora_scale, 4, 1", "dora_scale, 1, 6", "lora_magnitude_vector, 4, 1"})
  void shouldGiveTheSumDorasNorms(String name, long rows, long columns) {
    with(KOHYA + ".lora_down.weight", 2, 6).with(KOHYA + ".lora_up.weight", 4, 2);
    if (name.equals("dora_scale")) {
      with(KOHYA + "." + name, rows, columns);
    } else {
      with(KOHYA + "." + name, rows);
    }
    double[] sum =
        product(
            values(KOHYA + ".lora_up.weight", 8), values(KOHYA + ".lora_down.weight", 12), 4, 2, 6);
    double[] norms = new double[(int) Math.max(rows, columns)];
    for (int i = 0; i < sum.length; i++) {
      sum[i] = 2 * value("weight", i) + 0.5 * sum[i];
      norms[columns == 1 ? i / 6 : i % 6] += sum[i] * sum[i];
    }
    double[] magnitude = values(KOHYA + "." + name, norms.length);
    for (int i = 0; i < sum.length; i++) {
      int k = columns == 1 ? i / 6 : i % 6;
      sum[i] *= magnitude[k] / Math.sqrt(norms[k]);
    }

    assertClose(merged(2, 0.5), sum);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"unet.lora_alpha\": 8} | 4",
        "{\"unet.lora_alpha\": 8, \"unet.use_rslora\": true} | 5.656854249",
        "{\"unet.lora_alpha\": 8, \"unet.alpha_pattern\": {\"attn2.to_q\": 2, \"attn1\\\\.to_q\":"
            + " 3}} | 1.5",
        "{\"unet.lora_alpha\": 8, \"unet.alpha_pattern\": {\"mid_block\\\\..*\\\\.to_[kq]\": 6}} |"
            + " 3",
        "{\"unet.lora_alpha\": 8, \"unet.alpha_pattern\": {\"ttn1.to_q\": 3}} | 4",
        "{\"text_encoder.lora_alpha\": 8} | 1",
      })
  void shouldTakePeftsAlphas(String metadata, double scale) {
    with("unet." + LINEAR + ".lora_A.weight", 2, 6).with("unet." + LINEAR + ".lora_B.weight", 4, 2);
    notes.put("lora_adapter_metadata", metadata);

    assertThat(layers().get(0).scale()).isCloseTo(scale, within(1e-9));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{ | is not valid JSON",
        "{\"unet.lora_alpha\": \"8\"} | lora_alpha: expected a number, found \"8\"",
        "{\"unet.alpha_pattern\": {\"(\": 3}} | no regular expression: (",
        "{\"unet.alpha_pattern\": {\"(((((\\\\w|_|\\\\d|\\\\.)*)*)*)*)*!\": 3}} | take too long",
      })
  void shouldRefuseMetadataThatIsNone(String metadata, String why) {
    with("unet." + LINEAR + ".lora_A.weight", 2, 6).with("unet." + LINEAR + ".lora_B.weight", 4, 2);
    notes.put("lora_adapter_metadata", metadata);

    assertThatThrownBy(this::layers)
        .isInstanceOf(Problem.class)
        .hasMessageContaining("lora.safetensors: metadata lora_adapter_metadata")
        .hasMessageContaining(why);
  }

  @Test
  void shouldNameWhatIsOfNoLayer() {
    with(KOHYA + ".lora_down.weight", 2, 6)
        .with(KOHYA + ".lora_up.weight", 4, 2)
        .with("lora_unet_input_blocks_4_1_proj_in.lora_down.weight", 2, 6)
        .with("something.else", 3);
    notes.put("ss_base_model_version", "sdxl_base_v1-0");

    assertThatThrownBy(this::layers)
        .isInstanceOf(Problem.class)
        .hasMessageContaining("lora.safetensors: 2 of its 4 tensors are no factors")
        .hasMessageContaining("It was made for sdxl_base_v1-0")
        .hasMessageContaining("lora_unet_input_blocks_4_1_proj_in.lora_down.weight F32[2, 6]")
        .hasMessageContaining("something.else F32[3]");
  }

  @Test
  void shouldNameTheHalfThatIsMissing() {
    with(KOHYA + ".lora_down.weight", 2, 6);

    assertThatThrownBy(this::layers)
        .isInstanceOf(Problem.class)
        .hasMessageContaining(
            "expected a tensor lora_B.weight, found only " + KOHYA + ".lora_down");
  }

  @ParameterizedTest
  @CsvSource({
    "lora_down.weight, 2, 8, 6 columns",
    "lora_up.weight, 5, 2, 4 rows",
    "lora_up.weight, 4, 3, '[3, ..]'",
    "dora_scale, 3, 1, '4 numbers, one for each output'",
    "alpha, 2, 1, one number",
  })
  void shouldSayWhatDoesNotFit(String factor, long rows, long columns, String expected) {
    with(KOHYA + ".lora_down.weight", 2, 6).with(KOHYA + ".lora_up.weight", 4, 2);
    with(KOHYA + "." + factor, rows, columns);
    notes.put("ss_base_model_version", "sd_v2");

    assertThatThrownBy(this::layers)
        .isInstanceOf(Problem.class)
        .hasMessageContaining("lora.safetensors: tensor " + KOHYA)
        .hasMessageContaining("expected " + expected)
        .hasMessageContaining("found F32[");
  }

  @Test
  void shouldRefuseAConvolutionsKernelOfAnotherSize() {
    with(KOHYA_SPATIAL + ".lora_down.weight", 2, 54, 1, 1)
        .with(KOHYA_SPATIAL + ".lora_up.weight", 4, 2, 1, 1);

    assertThatThrownBy(this::layers)
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected [2, 6, 3, 3], found F32[2, 54, 1, 1]");
  }

  @Test
  void shouldRefuseTwoNamesOfOneFactor() {
    with(KOHYA + ".lora_down.weight", 2, 6)
        .with("unet." + LINEAR + ".lora_A.weight", 2, 6)
        .with(KOHYA + ".lora_up.weight", 4, 2);

    assertThatThrownBy(this::layers)
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected once, found")
        .hasMessageContaining("which means the same");
  }

  @Test
  void shouldRefuseTwoKindsInOneLayer() {
    with(KOHYA + ".lora_down.weight", 2, 6)
        .with(KOHYA + ".lora_up.weight", 4, 2)
        .with(KOHYA + ".lokr_w1", 2, 3);

    assertThatThrownBy(this::layers)
        .isInstanceOf(Problem.class)
        .hasMessageContaining("lokr_w1: expected none beside the layer's factors of LoRA");
  }

  @Test
  void shouldRefuseAnEmptyFile() {
    assertThatThrownBy(this::layers)
        .isInstanceOf(Problem.class)
        .hasMessageContaining("expected the tensors of a LoRA, found none");
  }
}
