package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.model.Conditioning;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.ModelSource;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class UntrainedModelTest {
  private static final ModelSource MODEL = ModelFolder.open(TinyRun.MODEL, null);

  private static Parameter parameter(StableDiffusion model, Component component, String name) {
    return Objects.requireNonNull(model.parameters(component).byName().get(name));
  }

  private static float[] weight(StableDiffusion model, Component component, String name) {
    return parameter(model, component, name).master().toFloats();
  }

  private static double deviation(float[] values) {
    double squares = 0;
    for (float each : values) {
      squares += each * each;
    }
    return Math.sqrt(squares / values.length);
  }

  @Test
  void shouldBeginWithWeightsOfUsualSizes() {
    try (Arena arena = Arena.open("test");
        StableDiffusion model = StableDiffusion.load(arena, new UntrainedModel(MODEL, 7))) {
      assertThat(weight(model, Component.UNET, "conv_norm_out.weight")).containsOnly(1);
      assertThat(weight(model, Component.UNET, "conv_in.bias")).containsOnly(0);
      Parameter into = parameter(model, Component.UNET, "conv_in.weight");
      double inputs = into.count() / (double) into.fileShape()[0];
      assertThat(deviation(into.master().toFloats()))
          .isCloseTo(1 / Math.sqrt(3 * inputs), within(0.1 / Math.sqrt(inputs)));
      assertThat(
              deviation(weight(model, Component.TEXT_ENCODER, "embeddings.token_embedding.weight")))
          .isCloseTo(0.02, within(0.001));
    }
  }

  @Test
  void shouldKeepTheVaeAndNameItselfBySeed() {
    UntrainedModel seven = new UntrainedModel(MODEL, 7);
    assertThat(seven.fingerprint(Component.VAE)).isEqualTo(MODEL.fingerprint(Component.VAE));
    assertThat(seven.fingerprint(Component.UNET))
        .isNotEqualTo(MODEL.fingerprint(Component.UNET))
        .isNotEqualTo(new UntrainedModel(MODEL, 8).fingerprint(Component.UNET))
        .isEqualTo(new UntrainedModel(MODEL, 7).fingerprint(Component.UNET));
  }

  /** Its first loss is then the noise's own square: nothing is to be unlearnt. */
  @Test
  void shouldPredictNothingAtFirst() {
    try (Arena arena = Arena.open("test");
        StableDiffusion model = StableDiffusion.load(arena, new UntrainedModel(MODEL, 7));
        Tape tape = Tape.inference(arena)) {
      PromptEncoder encoder = new PromptEncoder(model, TextEncoding.USUAL);
      Conditioning<Var> told = encoder.encode(tape, List.of("a man"));
      Tensor latents = arena.floats("latents", new float[8 * 8 * 4], 1, 8, 8, 4);
      Tensor time = arena.floats("time", new float[] {500}, 1);
      Var noise = model.unet().forward(tape, tape.constant(latents), time, told);
      assertThat(noise.value().toFloats()).containsOnly(0);
    }
  }
}
