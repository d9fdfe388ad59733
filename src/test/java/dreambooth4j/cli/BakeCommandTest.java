package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.train.TinyModel;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A base model trained from random weights. */
@Timeout(200)
class BakeCommandTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";
  private static final String TEXT_ENCODER = "text_encoder/model.safetensors";
  private static final String VAE = "vae/diffusion_pytorch_model.safetensors";

  @TempDir private Path folder;

  /** A bake of a model of which there is only what is not to be trained. */
  private TinyRun bake(String name) throws IOException {
    Path sizes = folder.resolve("sizes");
    if (Files.notExists(sizes)) {
      TinyModel.copy(sizes);
      Files.delete(sizes.resolve(UNET));
      Files.delete(sizes.resolve(TEXT_ENCODER));
    }
    return new TinyRun(folder.resolve(name))
        .withoutClass()
        .without("instance_token")
        .with("pretrained_model_name_or_path", sizes)
        .with("train_text_encoder", true)
        .with("max_train_steps", 4);
  }

  private static Ran baked(TinyRun run, String... more) {
    Ran ran = Ran.of(run.arguments("bake", more));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    return ran;
  }

  private static byte[] file(TinyRun run, String name) throws IOException {
    return Files.readAllBytes(run.output().resolve(name));
  }

  @Test
  void shouldLeaveAWholeModelThatTrainBeginsWith() throws IOException {
    TinyRun run = bake("run").with("save_precision", "bf16");
    baked(run);
    StableDiffusion.requireFit(ModelFolder.open(run.output(), null));
    assertThat(run.output().resolve("unet/config.json"))
        .hasSameBinaryContentAs(TinyRun.MODEL.resolve("unet/config.json"));
    TinyRun after =
        new TinyRun(folder.resolve("after"))
            .withPaintedClassImages()
            .with("pretrained_model_name_or_path", run.output())
            .with("max_train_steps", 1);
    Ran trained = Ran.of(after.arguments("train"));
    assertThat(trained.exitCode()).as(trained.err()).isZero();
  }

  @Test
  void shouldReadNoWeightsOfUNetAndTextEncoder() throws IOException {
    TinyRun without = bake("without");
    TinyRun with = bake("with").with("pretrained_model_name_or_path", TinyRun.MODEL);
    baked(without);
    baked(with);
    assertThat(file(with, UNET)).isEqualTo(file(without, UNET));
    assertThat(file(with, TEXT_ENCODER)).isEqualTo(file(without, TEXT_ENCODER));
    assertThat(file(with, VAE)).isEqualTo(Files.readAllBytes(TinyRun.MODEL.resolve(VAE)));
  }

  @Test
  void shouldGoOnAsIfItHadNotStopped() throws IOException {
    TinyRun whole = bake("whole").with("use_ema", true).with("caption_dropout_rate", 0.5);
    TinyRun parts = bake("parts").with("use_ema", true).with("caption_dropout_rate", 0.5);
    baked(whole);
    baked(parts.with("max_train_steps", 2).with("save_state_after", true));
    Ran second = baked(parts.with("max_train_steps", 4), "--resume_from_checkpoint", "latest");
    assertThat(second.err()).contains("from step 3");
    assertThat(file(parts, UNET)).isEqualTo(file(whole, UNET));
    assertThat(file(parts, TEXT_ENCODER)).isEqualTo(file(whole, TEXT_ENCODER));
  }

  @Test
  void shouldBeginOtherwiseWithAnotherSeed() throws IOException {
    TinyRun one = bake("one").with("max_train_steps", 1).with("learning_rate", 1e-12);
    TinyRun two = bake("two").with("max_train_steps", 1).with("learning_rate", 1e-12);
    baked(one);
    baked(two.with("seed", 43));
    assertThat(file(two, UNET)).isNotEqualTo(file(one, UNET));
  }

  @ParameterizedTest
  @CsvSource({
    "use_lora, true, leave use_lora out to bake",
    "train_text_encoder, false, and without train_text_encoder: true it keeps them",
    "class_token, man, leave out class_token",
    "pretrained_model_name_or_path, nowhere, nowhere"
  })
  void shouldRefuseWhatDoesNotBake(String key, String value, String way) throws IOException {
    TinyRun run = bake("run").with(key, value);
    Ran ran = Ran.of(run.arguments("bake"));
    assertThat(ran.exitCode()).as(ran.err()).isIn(2, 3);
    assertThat(ran.err()).contains(way);
    assertThat(run.output()).doesNotExist();
  }
}
