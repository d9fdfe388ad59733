package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Values are held against recorded ones by VerifyCommandTest; here is what none records. */
class PromptEncoderTest {
  private static final Path GOLDENS = Path.of("src/test/resources/goldens");
  private static final List<String> PROMPTS =
      List.of("sks man", "red hat, ".repeat(20) + "blue sky, ".repeat(30));

  private static StableDiffusion load(Arena run, String family) {
    ModelFolder folder = ModelFolder.open(GOLDENS.resolve(family).resolve("model"), null);
    return StableDiffusion.load(run, folder, Component.TEXT_ENCODER);
  }

  /** The backward of each window by itself, given its part of the gradient. */
  @ParameterizedTest
  @CsvSource({"sd1, 1, 150", "sd2, 2, 225"})
  void shouldCarryGradientsIntoEveryWindow(String family, int clipSkip, int length) {
    try (Arena run = Arena.open("test");
        StableDiffusion model = load(run, family)) {
      long live = run.meter().liveCount();
      PromptEncoder encoder = new PromptEncoder(model, new TextEncoding(clipSkip, length));
      int width = model.readers().get(0).encoder().config().width();
      float[] cotangent = new float[PROMPTS.size() * (length + 2) * width];
      SplittableRandom random = new SplittableRandom(3);
      for (int i = 0; i < cotangent.length; i++) {
        cotangent[i] = (float) random.nextDouble(-1, 1);
      }
      try (Tape tape = Tape.recording(run)) {
        Var states = encoder.encode(tape, PROMPTS).hiddenStates();
        assertThat(states.value().shape()).containsExactly(2, length + 2, width);
        Tensor seed = run.floats("cotangent", cotangent, 2, length + 2, width);
        tape.backward(states, seed);
        seed.release();
      }
      float[] whole = model.parameters(Component.TEXT_ENCODER).gradients().toFloats();
      model.parameters(Component.TEXT_ENCODER).gradients().zero_();

      int windows = length / 75;
      for (int prompt = 0; prompt < PROMPTS.size(); prompt++) {
        long[] ids = model.tokenizer().encode(PROMPTS.get(prompt), windows);
        for (int window = 0; window < windows; window++) {
          float[] part = new float[77 * width];
          boolean isLast = window == windows - 1;
          int from = window == 0 ? 0 : 1;
          int to = isLast ? 77 : 76;
          int start = prompt * (length + 2) + window * 75 + from;
          System.arraycopy(cotangent, start * width, part, from * width, (to - from) * width);
          try (Tape tape = Tape.recording(run)) {
            Tensor row =
                run.longs("ids", Arrays.copyOfRange(ids, window * 77, window * 77 + 77), 1, 77);
            Var states = model.readers().get(0).encoder().forward(tape, row, clipSkip).states();
            row.release();
            Tensor seed = run.floats("cotangent", part, 1, 77, width);
            tape.backward(states, seed);
            seed.release();
          }
        }
      }
      float[] parts = model.parameters(Component.TEXT_ENCODER).gradients().toFloats();
      double difference = 0;
      double size = 0;
      for (int i = 0; i < parts.length; i++) {
        difference += Math.pow(whole[i] - parts[i], 2);
        size += Math.pow(parts[i], 2);
      }
      assertThat(size).isPositive();
      assertThat(Math.sqrt(difference / size)).isLessThan(1e-5);
      assertThat(run.meter().liveCount()).isEqualTo(live);
    }
  }

  @Test
  void shouldReadOnlyTheBeginningOfALongPromptInOneWindow() {
    try (Arena run = Arena.open("test");
        StableDiffusion model = load(run, "sd1")) {
      String other = PROMPTS.get(1) + "and something else";
      assertThat(states(run, model, 75, other)).isEqualTo(states(run, model, 75, PROMPTS.get(1)));
      assertThat(states(run, model, 225, other))
          .isNotEqualTo(states(run, model, 225, PROMPTS.get(1)));
    }
  }

  private static float[] states(Arena run, StableDiffusion model, int length, String prompt) {
    PromptEncoder encoder = new PromptEncoder(model, new TextEncoding(1, length));
    return encoder.encode(run, List.of(prompt)).hiddenStates().toFloats();
  }
}
