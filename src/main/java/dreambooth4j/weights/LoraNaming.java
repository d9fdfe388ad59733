package dreambooth4j.weights;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** How the tensors of a LoRA file are called, and where its alphas are. */
public enum LoraNaming {
  /** kohya's: what ComfyUI, A1111, Forge and InvokeAI load. */
  KOHYA {
    @Override
    void write(LoraContents contents, LoraNames names, DType type, SafetensorsWriter writer) {
      for (LoraContents.Item each : contents.items()) {
        writer.add(
            names.kohya(each.layer()) + "." + each.factor().kohya(),
            type,
            each.shapeBy(names),
            arena -> each.as(type, arena));
      }
      contents
          .alphas()
          .forEach(
              (layer, alpha) ->
                  writer.add(
                      names.kohya(layer) + "." + LoraFactor.ALPHA.kohya(),
                      DType.F32,
                      new long[0],
                      arena -> arena.floats("alpha", new float[] {alpha.floatValue()})));
    }
  },
  /** peft's, with diffusers' names of components: what its load_lora_weights loads. */
  DIFFUSERS {
    @Override
    void write(LoraContents contents, LoraNames names, DType type, SafetensorsWriter writer) {
      for (LoraContents.Item each : contents.items()) {
        if (!each.factor().isLora()) {
          throw Problem.usage(
              "diffusers loads no LoHa, no LoKr and no LoRA with a core (%s of layer %s): write it in kohya's naming alone, or into a model with merge"
                  .formatted(each.factor().label(), each.layer().name()));
        }
        if (each.factor() == LoraFactor.MAGNITUDE && each.shape().size() > 1) {
          throw Problem.usage(
              "layer %s has DoRA's norms of inputs, as old files of LyCORIS have, and diffusers knows those of outputs alone: write it in kohya's naming, or into a model with merge"
                  .formatted(each.layer().name()));
        }
        writer.add(
            LoraNames.diffusers(each.layer()) + "." + each.factor().label(),
            type,
            each.factor() == LoraFactor.MAGNITUDE
                ? peftMagnitude(each.shapeBy(names))
                : each.shapeBy(names),
            arena -> each.as(type, arena));
      }
      writer.metadata("lora_adapter_metadata", adapterMetadata(contents));
    }
  };

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Names all tensors for a writer. */
  abstract void write(LoraContents contents, LoraNames names, DType type, SafetensorsWriter writer);

  /**
   * A writer of a file in this naming, which says what it is.
   *
   * @param arena holds one tensor at a time
   */
  SafetensorsWriter writer(
      LoraContents contents, LoraNames names, DType type, LoraMetadata metadata, Arena arena) {
    SafetensorsWriter writer = new SafetensorsWriter();
    write(contents, names, type, writer);
    metadata.entries(contents, writer.hashOfTensors(arena)).forEach(writer::metadata);
    return writer;
  }

  /** [out] of a linear layer, [1, out, 1, 1] of a convolution. */
  private static long[] peftMagnitude(long[] kohyas) {
    return kohyas.length == 4 ? new long[] {1, kohyas[0], 1, 1} : new long[] {kohyas[0]};
  }

  /** peft's configuration of each component's adapters, by the component's name. */
  private static String adapterMetadata(LoraContents contents) {
    ObjectNode root = JSON.createObjectNode();
    Map<LoraNames.Layer, Long> ranks = contents.ranks();
    for (Component component : contents.components()) {
      List<LoraNames.Layer> layers = new ArrayList<>();
      for (LoraNames.Layer each : contents.alphas().keySet()) {
        if (each.component() == component) {
          layers.add(each);
        }
      }
      String prefix = component.folder() + ".";
      long rank = ranks.getOrDefault(layers.get(0), 1L);
      double alpha = contents.alphas().getOrDefault(layers.get(0), 1.0);
      root.put(prefix + "peft_type", "LORA");
      root.put(prefix + "r", rank);
      root.put(prefix + "lora_alpha", alpha);
      root.put(prefix + "use_dora", contents.has(LoraFactor.MAGNITUDE));
      root.put(prefix + "use_rslora", false);
      root.put(prefix + "bias", "none");
      ObjectNode otherRanks = root.putObject(prefix + "rank_pattern");
      ObjectNode otherAlphas = root.putObject(prefix + "alpha_pattern");
      var targets = root.putArray(prefix + "target_modules");
      for (LoraNames.Layer each : layers) {
        targets.add(each.name());
        String pattern = each.name().replace(".", "\\.");
        if (ranks.getOrDefault(each, rank) != rank) {
          otherRanks.put(pattern, ranks.get(each));
        }
        double own = contents.alphas().getOrDefault(each, alpha);
        if (own != alpha) {
          otherAlphas.put(pattern, own);
        }
      }
    }
    return root.toString();
  }
}
