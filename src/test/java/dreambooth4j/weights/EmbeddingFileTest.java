package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files of textual inversion, by whoever wrote them. */
class EmbeddingFileTest {
  private static final Path RECORDED = Path.of("src/test/resources/weights/embeddings");
  private static final Map<Component, Integer> SD1 = Map.of(Component.TEXT_ENCODER, 24);
  private static final Map<Component, Integer> SDXL =
      Map.of(Component.TEXT_ENCODER, 2, Component.TEXT_ENCODER_2, 3);

  @TempDir private Path folder;

  private Path file(String name, Map<String, long[]> shapes, @Nullable String word) {
    Path file = folder.resolve(name);
    SafetensorsWriter writer = new SafetensorsWriter();
    try (Arena arena = Arena.open("file")) {
      shapes.forEach(
          (tensor, shape) -> {
            float[] values = new float[(int) Tensor.count(shape)];
            for (int i = 0; i < values.length; i++) {
              values[i] = i;
            }
            writer.add(tensor, arena.floats(tensor, values, shape));
          });
      if (word != null) {
        writer.metadata(EmbeddingFile.WORD, word);
      }
      writer.write(arena, file);
    }
    return file;
  }

  /** Recorded with torch.save, as A1111's Embedding.save and diffusers' script call it. */
  @Test
  void shouldReadPicklesOfA1111AndOfDiffusers() {
    TokenEmbedding ofA1111 = EmbeddingFile.read(RECORDED.resolve("a1111.pt"), null, SD1);
    assertThat(ofA1111.token()).isEqualTo("my-style");
    assertThat(ofA1111.vectors()).isEqualTo(2);
    assertThat(ofA1111.values().get(Component.TEXT_ENCODER)).hasSize(48).contains(0.47f);

    TokenEmbedding one = EmbeddingFile.read(RECORDED.resolve("learned_embeds.bin"), null, SD1);
    assertThat(one.token()).isEqualTo("<my-cat>");
    assertThat(one.vectors()).isEqualTo(1);
    assertThat(one.values().get(Component.TEXT_ENCODER)).hasSize(24);
  }

  @Test
  void shouldTakeTheWordFromTheFileOrItsName() {
    Map<String, long[]> nameless = Map.of("emb_params", new long[] {2, 24});
    assertThat(EmbeddingFile.read(file("cat.safetensors", nameless, null), null, SD1).token())
        .isEqualTo("cat");
    assertThat(EmbeddingFile.read(file("cat.safetensors", nameless, "<c>"), null, SD1).token())
        .isEqualTo("<c>");
    assertThat(EmbeddingFile.read(file("cat.safetensors", nameless, "<c>"), "dog", SD1).token())
        .isEqualTo("dog");
  }

  /** A1111 takes names with blanks, and names of files may hold anything. */
  @Test
  void shouldAskForAnotherWordWhereAPromptCannotHoldIt() {
    Map<String, long[]> nameless = Map.of("emb_params", new long[] {1, 24});
    Path blank = file("bad style.safetensors", nameless, null);
    refuses(blank, SD1, "its word is 'bad style'");
    refuses(
        file("n.safetensors", Map.of("a\u00a0b", new long[] {1, 24}), null), SD1, "its word is");
    refuses(blank, SD1, "--embedding my-word=" + blank);
    refuses(file("e.safetensors", Map.of("\u001b[31mred", new long[] {1, 24}), null), SD1, "word");
    assertThat(EmbeddingFile.read(blank, "bad-style", SD1).token()).isEqualTo("bad-style");
  }

  @Test
  void shouldReadBothVectorsOfSdxl() {
    Map<String, long[]> both = Map.of("clip_l", new long[] {2, 2}, "clip_g", new long[] {2, 3});
    TokenEmbedding read = EmbeddingFile.read(file("c.safetensors", both, "<c>"), null, SDXL);
    assertThat(read.token()).isEqualTo("<c>");
    assertThat(read.vectors()).isEqualTo(2);
    assertThat(read.values().get(Component.TEXT_ENCODER_2)).containsExactly(0, 1, 2, 3, 4, 5);
  }

  private void refuses(Path file, Map<Component, Integer> widths, String why) {
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> EmbeddingFile.read(file, null, widths))
        .withMessageStartingWith(file.toString())
        .withMessageContaining(why);
  }

  @Test
  void shouldSayWhatAFileIsThatDoesNotFit() {
    Path sd2 = file("2.safetensors", Map.of("<c>", new long[] {1, 1024}), null);
    refuses(sd2, SD1, "1 to 75 vectors of 24 numbers");
    refuses(sd2, SD1, "found F32[1, 1024] (made for SD 2)");
    refuses(sd2, SDXL, "expected a tensor clip_");
    Map<String, long[]> both = Map.of("clip_l", new long[] {2, 24}, "clip_g", new long[] {2, 3});
    refuses(file("x.safetensors", both, null), SD1, "this one is for SDXL");
    Map<String, long[]> odd = Map.of("clip_l", new long[] {2, 2}, "clip_g", new long[] {1, 3});
    refuses(file("o.safetensors", odd, null), SDXL, "as many vectors for each text encoder");
    refuses(file("m.safetensors", Map.of("<c>", new long[] {76, 24}), null), SD1, "1 to 75");
  }
}
