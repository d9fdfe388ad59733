package dreambooth4j.weights;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What the layers of one model are called in LoRA files. Each naming has its own spelling of a
 * layer, which a factor's name follows; a spelling means one layer, whoever wrote it.
 */
final class LoraNames {
  /** A layer of a model. */
  record Layer(Component component, String name) {}

  private static final String TEXT_MODEL = "text_model.";

  /** What peft's own files have in front of the names of the one model that they are around. */
  private static final String PEFT = "base_model.model.";

  private final ModelLayers layers;
  private final NameTable original;
  private final Map<String, Layer> bySpelling = new HashMap<>();

  LoraNames(ModelLayers layers) {
    this.layers = layers;
    this.original = original(layers.of(Component.UNET).keySet());
    for (Component component : Component.values()) {
      for (String name : layers.of(component).keySet()) {
        Layer layer = new Layer(component, name);
        if (component == Component.UNET) {
          addUNet(layer);
        } else {
          addText(layer);
        }
      }
    }
  }

  /** The original's names of a UNet's layers, which are counted through, in and out. */
  private static NameTable original(Set<String> unet) {
    List<Boolean> attends = new ArrayList<>();
    for (int i = 0; unet.contains("up_blocks.%d.resnets.0.conv1".formatted(i)); i++) {
      attends.add(unet.contains("up_blocks.%d.attentions.0.proj_in".formatted(i)));
    }
    int layers = 0;
    while (unet.contains("down_blocks.0.resnets.%d.conv1".formatted(layers))) {
      layers++;
    }
    return new UNetNames(attends.size(), layers, attends).table();
  }

  private String original(String unetLayer) {
    NameTable.Entry entry = original.ofOurs(unetLayer);
    return entry == null ? unetLayer : entry.theirs();
  }

  /** The layer that a file calls so; null if this model has none. */
  @Nullable Layer layer(String spelling) {
    return bySpelling.get(spelling.startsWith(PEFT) ? spelling.substring(PEFT.length()) : spelling);
  }

  /** The spelling of kohya's scripts, which ComfyUI, A1111, Forge and InvokeAI read. */
  String kohya(Layer layer) {
    if (layer.component() == Component.UNET) {
      return kohyaUNet(layers.isSdxl() ? original(layer.name()) : layer.name());
    }
    String encoder =
        !layers.isSdxl() ? "te" : layer.component() == Component.TEXT_ENCODER_2 ? "te2" : "te1";
    return underscored("lora_%s_%s".formatted(encoder, TEXT_MODEL + bare(layer)));
  }

  /** The spelling of diffusers and peft, text encoders as older versions have it. */
  static String diffusers(Layer layer) {
    String name = layer.component() == Component.UNET ? layer.name() : TEXT_MODEL + bare(layer);
    return layer.component().folder() + "." + name;
  }

  private void addUNet(Layer layer) {
    String name = layer.name();
    add("unet." + name, layer);
    add(name, layer);
    add(kohyaUNet(name), layer);
    add(kohyaUNet(original(name)), layer);
    // The oldest files name a processor of the attention and its own layer.
    String old = name.replace(".to_", ".processor.to_").replaceFirst("\\.to_out\\.0$", ".to_out");
    add("unet." + old, layer);
    add(old, layer);
  }

  private void addText(Layer layer) {
    String folder = layer.component().folder();
    String number = layer.component() == Component.TEXT_ENCODER_2 ? "2" : "1";
    String bare = bare(layer);
    for (String prefix : new String[] {TEXT_MODEL, ""}) {
      add(folder + "." + prefix + bare, layer);
      if (!layers.isSdxl()) {
        add(prefix + bare, layer); // of two text encoders it is not known which
      }
      add(underscored("lora_te%s_%s%s".formatted(number, prefix, bare)), layer);
      if (number.equals("1")) {
        add(underscored("lora_te_" + prefix + bare), layer);
      }
      String old = bare.replaceFirst("\\.([qkv]|out)_proj$", ".to_$1");
      add(folder + "." + prefix + old, layer);
    }
  }

  private void add(String spelling, Layer layer) {
    bySpelling.putIfAbsent(spelling, layer);
  }

  private static String kohyaUNet(String name) {
    return underscored("lora_unet_" + name);
  }

  private static String underscored(String name) {
    return name.replace('.', '_');
  }

  private static String bare(Layer layer) {
    return layer.name().startsWith(TEXT_MODEL)
        ? layer.name().substring(TEXT_MODEL.length())
        : layer.name();
  }

  /** The shape of a factor in a file: of LoRA's, as many axes as the weight of its layer. */
  long[] shape(Layer layer, LoraFactor factor, List<Long> ofAdapter) {
    List<Long> weight = layers.of(layer.component()).get(layer.name());
    if (weight == null) {
      throw new IllegalStateException("the model has no layer " + layer);
    }
    List<Long> shape = new ArrayList<>(ofAdapter);
    while (factor.isLora() && shape.size() < weight.size()) {
      shape.add(1L);
    }
    if (factor.isLora()) {
      shape = shape.subList(0, weight.size()); // some write linear layers with axes of 1 behind
    }
    return shape.stream().mapToLong(Long::longValue).toArray();
  }
}
