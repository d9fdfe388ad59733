package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import dreambooth4j.data.HeldOut;
import dreambooth4j.data.Picture;
import dreambooth4j.data.TestPictures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Held-out pictures: what is measured on them, and what is done about it. */
class ValidationTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("n_save_sample", 0)
            .with("max_train_steps", 6);
    TestPictures.paint(folder.resolve("held"), "h0", 32, 32, "sks, man, hat", 50);
    TestPictures.paint(folder.resolve("held"), "h1", 48, 32, "sks, man, tree", 51);
  }

  private void run(Path output) throws IOException {
    assertThat(TinyRun.run(tiny.with("output_dir", output).config())).isTrue();
  }

  /** A column of metrics.jsonl by step. */
  private static Map<Integer, Double> column(Path output, String name) throws IOException {
    Map<Integer, Double> column = new TreeMap<>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      JsonNode values = new ObjectMapper().readTree(line);
      if (values.has(name)) {
        column.put(values.path("step").asInt(), values.path(name).asDouble());
      }
    }
    return column;
  }

  /** The text encoder trains too, for a measurement must not disturb what it learns either. */
  @Test
  void shouldMeasureWithoutChangingTheRun() throws IOException {
    tiny.with("train_text_encoder", true).with("use_ema", true);
    Path without = folder.resolve("without");
    run(without);
    Path with = folder.resolve("with");
    tiny.with("validation_data_dir", folder.resolve("held")).with("validate_every_n_steps", 4);
    run(with);

    assertThat(Sha256.of(with.resolve(UNET))).isEqualTo(Sha256.of(without.resolve(UNET)));
    assertThat(column(with, "loss")).isEqualTo(column(without, "loss"));
    Map<Integer, Double> losses = column(with, "validation_loss");
    assertThat(losses).containsOnlyKeys(0, 4, 6);
    assertThat(losses.values()).doesNotHaveDuplicates().allMatch(loss -> loss > 0 && loss < 10);
    assertThat(column(with, "validation_prior_loss")).containsOnlyKeys(0, 4, 6);
    assertThat(column(without, "validation_loss")).isEmpty();

    tiny.with("seed", 7);
    Path other = folder.resolve("other");
    run(other);
    assertThat(column(other, "validation_loss").get(0))
        .isEqualTo(losses.get(0)); // whatever the seed
    assertThat(column(other, "validation_loss").get(6)).isNotEqualTo(losses.get(6));
  }

  @Test
  void shouldKeepAShareOfThePicturesFromTraining() {
    HeldOut some = HeldOut.scan(tiny.with("validation_share", 0.4).config());
    assertThat(some.pictures()).hasSize(2);
    assertThat(some.concepts().get(0).pictures())
        .hasSize(3)
        .doesNotContainAnyElementsOf(some.pictures());
    assertThat(HeldOut.scan(tiny.with("seed", 9).config()).pictures())
        .extracting(Picture::file)
        .isEqualTo(some.pictures().stream().map(Picture::file).toList());
    HeldOut both = HeldOut.scan(tiny.with("validation_data_dir", folder.resolve("held")).config());
    assertThat(both.pictures()).hasSize(4);
  }

  /** Steps so large that the loss soon rises: a run that goes wrong. */
  @Test
  void shouldKeepTheBestModelAndEndWhenItGetsNoBetter() throws IOException {
    tiny.with("validation_data_dir", folder.resolve("held"))
        .with("validate_every_n_steps", 1)
        .with("save_model_every", 1)
        .with("checkpointing_steps", 1)
        .with("checkpoints_total_limit", 2)
        .with("learning_rate", 0.1)
        .with("max_train_steps", 40)
        .with("save_best", true)
        .with("early_stopping_patience", 1);
    Path output = folder.resolve("early");
    run(output);

    Map<Integer, Double> losses = column(output, "validation_loss");
    losses.remove(0);
    int best = losses.entrySet().stream().min(Map.Entry.comparingByValue()).orElseThrow().getKey();
    int last = column(output, "loss").keySet().stream().max(Integer::compare).orElseThrow();
    assertThat(last).as("%s", losses).isEqualTo(best + 1).isLessThan(40);
    assertThat(Sha256.of(output.resolve("model-best").resolve(UNET)))
        .isEqualTo(Sha256.of(output.resolve("model-" + best).resolve(UNET)))
        .isNotEqualTo(Sha256.of(output.resolve(UNET)));

    Path resumed = folder.resolve("resumed");
    tiny.with("resume_from_checkpoint", output.resolve("checkpoint-" + best));
    run(resumed);
    assertThat(column(resumed, "loss").keySet().stream().max(Integer::compare)).contains(last);
    assertThat(Sha256.of(resumed.resolve(UNET))).isEqualTo(Sha256.of(output.resolve(UNET)));

    Path again = folder.resolve("early"); // what the run left is set aside
    tiny.without("resume_from_checkpoint").with("max_train_steps", 2);
    run(again);
    assertThat(again.resolve("models-1/model-best").resolve(UNET)).exists();
  }

  @Test
  void shouldRememberTheLeastLossToTheBit() {
    BestLoss first = new BestLoss();
    assertThat(first.isBest(0.3, 2)).isTrue();
    assertThat(first.isBest(0.1 + 0.2, 4)).isFalse();
    assertThat(first.isBest(Double.NaN, 6)).isFalse();
    BestLoss second = new BestLoss();
    second.restore(first.toString());
    assertThat(second).hasToString(first.toString());
    assertThat(second.since()).isEqualTo(2);
    assertThat(second.isBest(Math.nextDown(0.3), 8)).isTrue();
    second.restore("something else");
    assertThat(second.step()).isEqualTo(8);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "save_best=true | save_best needs pictures to measure on",
        "early_stopping_patience=3 | early_stopping_patience needs pictures to measure on",
        "validation_share=0.7 | from 0 to 0.5",
        "validate_every_n_steps=0 | validate_every_n_steps"
      })
  void shouldRefuseWhatCannotBeMeasured(String options, String expected) {
    assertThatThrownBy(() -> tiny.withOptions(options).config())
        .isInstanceOf(Problem.class)
        .hasMessageContaining(expected);
  }

  @Test
  void shouldRefuseHeldOutPicturesThatAreTrainedOn() {
    tiny.with("validation_data_dir", tiny.pictures());
    assertThatThrownBy(() -> HeldOut.scan(tiny.config()))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("holds no picture that is not trained on");
    tiny.with("validation_data_dir", folder.resolve("lost"));
    assertThatThrownBy(() -> HeldOut.scan(tiny.config())).isInstanceOf(Problem.class);
  }
}
