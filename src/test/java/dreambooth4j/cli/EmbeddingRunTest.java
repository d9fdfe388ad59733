package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyRun;
import dreambooth4j.train.TinySdxl;
import dreambooth4j.weights.Safetensors;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Textual inversion from the command line. */
class EmbeddingRunTest {
  @TempDir private Path folder;

  /** What the last picture's command said of embeddings. */
  private String said = "";

  private static TinyRun words(TinyRun tiny) {
    return tiny.withoutClass()
        .with("instance_token", "<my-cat>")
        .with("placeholder_token", "<my-cat>")
        .with("num_vectors", 2)
        .with("learning_rate", 0.5)
        .with("max_train_steps", 2);
  }

  private static Path file(TinyRun tiny) {
    return tiny.output().resolve("embeddings/my-cat.safetensors");
  }

  /** The pixels; the file also says the prompt. */
  private int[] drawn(Path model, String prompt, String... more) throws IOException {
    Path picture = folder.resolve("drawn.png");
    List<String> args = new ArrayList<>(List.of("generate", model.toString(), prompt));
    args.addAll(List.of("-o", picture.toString(), "--steps=2", "--seed=1"));
    args.addAll(List.of(more));
    Ran ran = Ran.of(args);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    said =
        ran.err()
            .lines()
            .filter(line -> line.contains("--embedding"))
            .collect(Collectors.joining("\n"));
    BufferedImage image = ImageIO.read(picture.toFile());
    return image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
  }

  @Test
  void shouldLeaveOneFileAndTheCommandThatDrawsWithIt() throws IOException {
    TinyRun tiny = words(new TinyRun(folder)).with("train_unet", false);
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("Saved after step 2: " + file(tiny))
        .contains("Draw with the model:\n  dreambooth generate --embedding " + file(tiny) + " ");
    assertThat(tiny.output().resolve("model_index.json")).doesNotExist();
    assertThat(tiny.output().resolve("unet")).doesNotExist();

    String embedding = file(tiny).toString();
    int[] with = drawn(TinyRun.MODEL, "a <my-cat>", "--embedding", embedding);
    assertThat(with).isNotEqualTo(drawn(TinyRun.MODEL, "a <my-cat>"));
    assertThat(drawn(TinyRun.MODEL, "a (<MY-CAT>:1)", "--embedding", embedding)).isEqualTo(with);
    assertThat(said).isEmpty();
    String[] twice = {"--embedding", "one=" + embedding, "--embedding", "two=" + embedding};
    assertThat(drawn(TinyRun.MODEL, "a one", twice)).isEqualTo(with);
    assertThat(drawn(TinyRun.MODEL, "a two", twice)).isEqualTo(with);
    assertThat(drawn(TinyRun.MODEL, "a dog", "--embedding", "dog=" + embedding)).isEqualTo(with);

    int[] without = drawn(TinyRun.MODEL, "a <my-cat>");
    assertThat(drawn(TinyRun.MODEL, "a <my-cat>", "--embedding", "zed=" + embedding))
        .isEqualTo(without);
    assertThat(said)
        .contains("--embedding: no prompt has the word zed, so its embedding changes nothing");
    drawn(TinyRun.MODEL, "a zed", "--negative", "the", "--embedding", "the=" + embedding);
    assertThat(said).contains("--embedding: the is a word of the model's own, in whose place");
  }

  @Test
  void shouldSaveTheWordOfSdxlForBothTextEncodersBesideTheModel() throws IOException {
    TinyRun tiny = words(TinySdxl.run(folder)).with("use_ema", true);
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("generate --embedding " + file(tiny) + " " + tiny.output() + " ");
    try (Safetensors saved = Safetensors.open(file(tiny))) {
      assertThat(saved.tensors()).containsOnlyKeys("clip_l", "clip_g");
    }
    int[] with = drawn(tiny.output(), "a <my-cat>", "--embedding", file(tiny).toString());
    assertThat(with).isNotEqualTo(drawn(tiny.output(), "a <my-cat>"));
  }

  @Test
  void shouldSayWhatIsWrongBeforeItTrains() throws IOException {
    TinyRun tiny = words(new TinyRun(folder)).with("placeholder_token", "<other>");
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("<other> is in no prompt of the pictures");
    Ran none =
        Ran.of(tiny.with("train_unet", false).without("placeholder_token").arguments("train"));
    assertThat(none.exitCode()).isEqualTo(2);
    assertThat(none.err()).contains("train_unet: false leaves nothing to train: set placeholder");
    Ran missing = Ran.of("generate", TinyRun.MODEL.toString(), "a", "--embedding", "a=none.pt");
    assertThat(missing.err()).contains("--embedding a=none.pt: expected a file, found none");
  }
}
