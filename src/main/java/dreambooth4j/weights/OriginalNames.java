package dreambooth4j.weights;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What the tensors of an original checkpoint are in a diffusers folder.
 *
 * @param family the kind of model
 * @param entries for each component that is there, its tensors
 * @param passedOver the tensors that no model here needs, in words
 */
record OriginalNames(
    Family family, Map<Component, List<NameTable.Entry>> entries, String passedOver) {
  private static final int SHOWN = 8;
  private static final String FIRST_CONVOLUTION = Family.UNET_PREFIX + "input_blocks.0.0.weight";

  /** What a UNet is for that is given so many channels rather than the four of the latents. */
  private static final Map<Long, String> OTHER_INPUTS =
      Map.of(
          5L, "a depth map beside the latents (Stable Diffusion 2 depth)",
          7L, "a small picture beside the latents (an upscaler)",
          8L, "a picture to be edited beside the latents (InstructPix2Pix)",
          9L, "a mask and a masked picture beside the latents (an inpainting model)");

  /**
   * The family of a checkpoint whose UNet takes latents and nothing else.
   *
   * @throws Problem when it is of none that is trained here
   */
  static Family family(TensorSource file) {
    Set<String> names = file.tensors().keySet();
    Family family = Family.of(names);
    if (family == null) {
      throw Problem.data("%s: %s".formatted(file.path(), other(names)));
    }
    TensorInfo first = file.tensors().get(FIRST_CONVOLUTION);
    if (first != null && first.shape().size() > 1) {
      requireLatents(file.path().toString(), first.shape().get(1));
    }
    return family;
  }

  /**
   * Refuses a UNet that is given more than latents.
   *
   * @param where names the file
   * @param channels that its first convolution takes
   */
  static void requireLatents(String where, long channels) {
    String input = OTHER_INPUTS.get(channels);
    if (input != null) {
      throw Problem.data(
          "%s: its UNet takes %d channels, %s: such a model is not trained here. Use the plain model that it was made from."
              .formatted(where, channels, input));
    }
  }

  private static String other(Set<String> names) {
    if (names.stream().anyMatch(name -> name.startsWith("conditioner.embedders.0.model."))) {
      return "this is SDXL's refiner, which is not trained here: use the base model";
    }
    if (names.stream().anyMatch(name -> name.contains("lora_") || name.contains(".lora"))) {
      return "this is a LoRA, where a whole model is needed: name the model that it was made for, and give the LoRA to generate --lora or to merge, which writes both as one model";
    }
    if (names.stream()
        .anyMatch(name -> name.matches("(down_blocks|encoder\\.(layers|down_blocks))\\..*"))) {
      return "this is one part of a model in the diffusers layout: name the folder that its folder lies in";
    }
    String some = names.stream().limit(2).collect(Collectors.joining(", "));
    boolean unetAlone = names.stream().anyMatch(name -> name.startsWith(Family.UNET_PREFIX));
    return "expected a checkpoint of Stable Diffusion 1 or 2 or SDXL with its text encoder, found %s"
        .formatted(
            unetAlone
                ? "a UNet without one: get the file that has all parts"
                : names.isEmpty() ? "no tensors" : "tensors such as " + some);
  }

  /**
   * Refuses a model that has other sizes than the published ones of its family: how many heads and
   * groups it has cannot be told from its tensors.
   */
  static void requirePublishedSizes(TensorSource file, Family family) {
    FamilyConfigs published = FamilyConfigs.published(family, file.path());
    ObjectNode unet = config(published, Component.UNET);
    ObjectNode vae = config(published, Component.VAE);
    List<String> others = new ArrayList<>();
    compare(file, others, FIRST_CONVOLUTION, unet.path("block_out_channels").path(0).asLong());
    compare(
        file,
        others,
        "first_stage_model.encoder.conv_in.weight",
        vae.path("block_out_channels").path(0).asLong());
    for (Component text : family.pipeline().textEncoders()) {
      ObjectNode config = config(published, text);
      NameTable.Entry norm =
          family.part(text, config, file.path().toString()).ofOurs("final_layer_norm.weight");
      compare(file, others, norm == null ? "" : norm.theirs(), config.path("hidden_size").asLong());
    }
    if (!others.isEmpty()) {
      throw Problem.data(
          "%s: its sizes are not those of %s (%s), and its tensors do not say how many attention heads it has. Set model_config to a diffusers folder of the same model: its configurations and tokenizer are read, not its weights."
              .formatted(file.path(), family.title(), String.join("; ", others)));
    }
  }

  private static void compare(TensorSource file, List<String> others, String name, long rows) {
    TensorInfo info = file.tensors().get(name);
    if (info != null && (info.shape().isEmpty() || info.shape().get(0) != rows)) {
      others.add("%s is %s, expected %d rows".formatted(name, info.shape(), rows));
    }
  }

  private static ObjectNode config(FamilyConfigs configs, Component component) {
    return configs.files(component).json(component.configFile());
  }

  /**
   * Finds the place of each tensor.
   *
   * @throws Problem when there are some that no such model has
   */
  static OriginalNames of(TensorSource file, Family family, FamilyConfigs configs) {
    Map<Component, OriginalPart> parts = new EnumMap<>(Component.class);
    for (Component each : family.pipeline().components()) {
      String where = configs.files(each).where(each.configFile());
      parts.put(each, family.part(each, config(configs, each), where));
    }
    Map<Component, List<NameTable.Entry>> entries = new EnumMap<>(Component.class);
    Map<String, Integer> beside = new LinkedHashMap<>();
    List<String> unknown = new ArrayList<>();
    List<Component> texts = family.pipeline().textEncoders();
    ObjectNode lastText = config(configs, texts.get(texts.size() - 1));
    for (String name : file.tensors().keySet()) {
      if (Family.isBeside(name, lastText)) {
        beside.merge(
            name.replaceFirst("(model_ema|resblocks\\.\\d+)\\..*", "$1.*"), 1, Integer::sum);
      } else if (parts.values().stream().noneMatch(part -> name.startsWith(part.prefix()))) {
        beside.merge(name.replaceFirst("\\..*", ".*"), 1, Integer::sum);
      } else if (!place(name, parts, entries)) {
        unknown.add(name);
      }
    }
    if (!unknown.isEmpty()) {
      String rest = unknown.size() > SHOWN ? " and %d more".formatted(unknown.size() - SHOWN) : "";
      throw Problem.data(
          "%s: %s has no such tensors: %s%s: its layers are not those of the published models"
              .formatted(
                  file.path(),
                  family.title(),
                  String.join(", ", unknown.subList(0, Math.min(SHOWN, unknown.size()))),
                  rest));
    }
    return new OriginalNames(family, Collections.unmodifiableMap(entries), inWords(beside));
  }

  private static boolean place(
      String name,
      Map<Component, OriginalPart> parts,
      Map<Component, List<NameTable.Entry>> entries) {
    for (Map.Entry<Component, OriginalPart> part : parts.entrySet()) {
      Component component = part.getKey();
      List<NameTable.Entry> found = part.getValue().ofTheirs(name);
      for (NameTable.Entry each : found) {
        String ours = WeightNames.written(component, each.ours());
        entries
            .computeIfAbsent(component, key -> new ArrayList<>())
            .add(new NameTable.Entry(ours, each.theirs(), each.layout()));
      }
      if (!found.isEmpty()) {
        return true;
      }
    }
    return false;
  }

  private static String inWords(Map<String, Integer> beside) {
    List<String> words = new ArrayList<>();
    beside.forEach((name, count) -> words.add(count == 1 ? name : name + " (" + count + ")"));
    int more = words.size() - SHOWN;
    return more <= 0
        ? String.join(", ", words)
        : String.join(", ", words.subList(0, SHOWN)) + " and %d more".formatted(more);
  }
}
