package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.LoraUse;
import dreambooth4j.weights.MergedModel;
import dreambooth4j.weights.ModelSource;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * LoRA files of every naming, beside the case: the model with each in its weights, whole and at a
 * part of its strength, and pictures of it.
 */
final class LoraFilesCase {
  /** The strength that was recorded beside a LoRA's own. */
  private static final double PART = 0.7;

  /** Files whose alphas or layers are other than what was trained, recorded apart. */
  private static final List<String> OTHERS = List.of("bare", "processor");

  private final Arena arena;
  private final ModelSource base;
  private final Golden golden;

  private LoraFilesCase(Arena arena, ModelSource base, Golden golden) {
    this.arena = arena;
    this.base = base;
    this.golden = golden;
  }

  static void run(Arena arena, ModelSource base, Golden golden) {
    LoraFilesCase all = new LoraFilesCase(arena, base, golden);
    for (JsonNode each : golden.setting("as_trained")) {
      all.asTrained(each.asText());
    }
    String name = "%s-%s.".formatted(text(golden, "family"), text(golden, "kind"));
    for (String other : OTHERS) {
      if (golden.has("output." + other + ".sample")) {
        all.with(
            name + other + ".safetensors", 1, model -> all.outputs(model, "output." + other + "."));
      }
    }
  }

  private static String text(Golden golden, String key) {
    return golden.setting(key).asText();
  }

  private void asTrained(String file) {
    with(file, 1, model -> outputs(model, "output."));
    with(
        file,
        PART,
        model -> {
          Tensor sample = sample(model, states(model));
          compare("output.scaled.sample", sample);
          compare("output.fused.sample", sample);
          weights(model);
          JsonNode picture = golden.setting("picture");
          if (!picture.isNull()) {
            picture(model, picture);
          }
        });
  }

  private void with(String file, double strength, Consumer<StableDiffusion> body) {
    LoraUse use = new LoraUse(golden.sibling(file), strength);
    try (MergedModel merged = MergedModel.of(base, List.of(use));
        Arena run = arena.child(file);
        StableDiffusion model = StableDiffusion.load(run, merged)) {
      body.accept(model);
    }
  }

  private void outputs(StableDiffusion model, String prefix) {
    Conditioning<Tensor> states = states(model);
    golden.output(
        arena, prefix + "encoder_hidden_states", states.hiddenStates().toFloats(), Limits.OUTPUT);
    compare(prefix + "sample", sample(model, states));
  }

  private Conditioning<Tensor> states(StableDiffusion model) {
    Map<String, Tensor> told = new LinkedHashMap<>();
    told.put(Conditioning.TOKENS, golden.input(arena, "input.ids"));
    if (golden.has("input.ids_2")) {
      told.put(Conditioning.TOKENS_2, golden.input(arena, "input.ids_2"));
      told.put(Conditioning.SIZES, UNetCase.floats(arena, golden, "input.time_ids"));
    }
    try (Tape tape = Tape.inference(arena)) {
      return new PromptEncoder(model, TextEncoding.USUAL)
          .encode(tape, new Conditioning<>(told))
          .map((name, value) -> value.value().retain());
    }
  }

  private Tensor sample(StableDiffusion model, Conditioning<Tensor> told) {
    try (Tape tape = Tape.inference(arena)) {
      Tensor noisy = ChannelsLast.of(arena, golden.input(arena, "input.sample"));
      Tensor timesteps = UNetCase.floats(arena, golden, "input.timestep");
      Tensor output =
          model
              .unet()
              .forward(
                  tape,
                  tape.constant(noisy),
                  timesteps,
                  told.map((name, value) -> tape.constant(value)))
              .value();
      return ChannelsLast.undo(arena, output);
    }
  }

  private void compare(String name, Tensor ours) {
    if (golden.has(name)) {
      golden.output(arena, name, ours.toFloats(), Limits.OUTPUT);
    }
  }

  /** Weights that were recorded one by one. */
  private void weights(StableDiffusion model) {
    for (Group group : model.groups()) {
      Component component = group.component();
      for (Parameter each : group.parameters().all()) {
        String name = "output.fused.%s.%s".formatted(component.folder(), each.name());
        if (golden.has(name)) {
          float[] ours = each.toFileOrder(arena, each.weight()).toFloats();
          golden.output(arena, name, ours, Limits.OUTPUT);
        }
      }
    }
  }

  private void picture(StableDiffusion model, JsonNode how) {
    Tensor latents = golden.input(arena, "input.latents");
    int factor = model.vae().config().factor();
    List<float[]> path = new ArrayList<>();
    float[] image =
        PictureCase.draw(
            arena,
            model,
            how,
            latents,
            (int) latents.size(3) * factor,
            (int) latents.size(2) * factor,
            path);
    golden.path(arena, "output.picture.latents", path, Limits.OUTPUT);
    golden.output(arena, "output.picture.image", image, Limits.OUTPUT);
  }
}
