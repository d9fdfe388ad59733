package dreambooth4j.weights;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one tensor of a LoRA file is to its layer: a factor of the change of the layer's weight, or
 * a number beside it. Here a factor is called as peft and LyCORIS call it.
 */
public enum LoraFactor {
  /** LoRA's first: [rank, in], or [rank, in, height, width] of a convolution. */
  DOWN(
      "lora_A.weight",
      "lora_down.weight",
      ".lora_A.default.weight",
      ".lora.down.weight",
      ".lora_linear_layer.down.weight",
      "_lora.down.weight"),
  /** LoRA's second: [out, rank]. */
  UP(
      "lora_B.weight",
      "lora_up.weight",
      ".lora_B.default.weight",
      ".lora.up.weight",
      ".lora_linear_layer.up.weight",
      "_lora.up.weight"),
  /** What LyCORIS may have between the two of a convolution: [rank, rank, height, width]. */
  MID("lora_mid.weight", "lora_mid.weight"),
  /** DoRA's norms of the weight's rows, [out]. */
  MAGNITUDE(
      "lora_magnitude_vector",
      "dora_scale",
      ".lora_magnitude_vector.weight",
      ".lora_magnitude_vector.default.weight"),
  /** LoHa's first pair: [out, rank]. */
  HADA_W1_A("hada_w1_a"),
  /** LoHa's first pair: [rank, in · height · width]. */
  HADA_W1_B("hada_w1_b"),
  /** LoHa's second pair. */
  HADA_W2_A("hada_w2_a"),
  /** LoHa's second pair. */
  HADA_W2_B("hada_w2_b"),
  /** What may be between LoHa's first pair: [rank, rank, height, width]. */
  HADA_T1("hada_t1"),
  /** What may be between LoHa's second pair. */
  HADA_T2("hada_t2"),
  /** LoKr's first, or the product of its two. */
  LOKR_W1("lokr_w1"),
  /** LoKr's first as a product: its left side. */
  LOKR_W1_A("lokr_w1_a"),
  /** LoKr's first as a product: its right side. */
  LOKR_W1_B("lokr_w1_b"),
  /** LoKr's second, of a convolution with its height and width. */
  LOKR_W2("lokr_w2"),
  /** LoKr's second as a product: its left side. */
  LOKR_W2_A("lokr_w2_a"),
  /** LoKr's second as a product: its right side. */
  LOKR_W2_B("lokr_w2_b"),
  /** What may be between the two. */
  LOKR_T2("lokr_t2"),
  /** The change is multiplied by this and divided by the rank. */
  ALPHA("alpha");

  private final String label;
  private final String kohya;

  @SuppressWarnings("ImmutableEnumChecker") // made by List.of
  private final List<String> others;

  LoraFactor(String label) {
    this(label, label);
  }

  LoraFactor(String label, String kohya, String... others) {
    this.label = label;
    this.kohya = kohya;
    this.others = List.of(others);
  }

  /** What a parameter is called that trains it, behind its layer: peft's and LyCORIS' name. */
  public String label() {
    return label;
  }

  /** What kohya's scripts call it. */
  String kohya() {
    return kohya;
  }

  /** Whether it is one of LoRA or DoRA, which every program knows. */
  boolean isLora() {
    return this == DOWN || this == UP || this == MAGNITUDE;
  }

  /** The factor whose {@link #label} ends the name of a parameter. */
  static LoraFactor ofParameter(String name) {
    return Arrays.stream(values())
        .filter(each -> name.endsWith("." + each.label))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException(name + " is no part of an adapter"));
  }

  /** The factor that a tensor of this name in a file is; null if none. */
  static @Nullable Found in(String key) {
    for (LoraFactor each : values()) {
      for (String end : List.of("." + each.label, "." + each.kohya)) {
        if (key.endsWith(end)) {
          return new Found(each, key.substring(0, key.length() - end.length()));
        }
      }
      for (String end : each.others) {
        if (key.endsWith(end)) {
          return new Found(each, key.substring(0, key.length() - end.length()));
        }
      }
    }
    return null;
  }

  /** A factor and how the file spells its layer. */
  record Found(LoraFactor factor, String spelling) {}
}
