package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.DType;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.TensorSource;
import dreambooth4j.weights.WeightComparison;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training from a single file, and to one. */
class SingleFileRunTest {
  private static final Path MODEL =
      Path.of("src/test/resources/goldens/sd1/model").toAbsolutePath();
  private static final String OUT = "model.diffusion_model.out.2.weight";

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void quickRun() throws IOException {
    tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0).with("max_train_steps", 2);
  }

  private Ran trains(String... more) {
    Ran ran = Ran.of(tiny.arguments("train", more));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    return ran;
  }

  private Path single() {
    return tiny.output().resolve(tiny.output().getFileName() + ".safetensors");
  }

  private static ModelSource find(Path model) {
    Path config = Files.isDirectory(model) ? null : MODEL;
    return ModelSource.find(model.toString(), new ModelOptions(null, config, null));
  }

  private static void assertSame(ModelSource one, ModelSource other) {
    for (Component each : one.pipeline().components()) {
      try (TensorSource weights = one.weights(each);
          TensorSource others = other.weights(each)) {
        assertThat(WeightComparison.differing(each, weights, others))
            .allSatisfy((name, count) -> assertThat(count).as(name).isZero());
      }
    }
  }

  private static DType type(Path file) {
    try (Safetensors source = Safetensors.open(file)) {
      return source.info(OUT).dtype();
    }
  }

  @Test
  void shouldSaveTheFolderAndTheFileOfOneModel() throws IOException {
    trains("--save_model_as=both", "--train_text_encoder=true");
    assertSame(find(tiny.output()), find(single()));
    assertThat(type(single())).isEqualTo(DType.F32);
    try (Safetensors source = Safetensors.open(single())) {
      assertThat(source.metadata())
          .containsEntry("ss_clip_skip", "1")
          .containsEntry("modelspec.architecture", "stable-diffusion-v1");
    }
  }

  @Test
  void shouldSaveTheFileAloneAndDrawWithIt() throws IOException {
    Ran ran = trains("--save_model_as=safetensors", "--save_precision=fp16");
    assertThat(type(single())).isEqualTo(DType.F16);
    assertThat(tiny.output().resolve("model_index.json")).doesNotExist();
    assertThat(ran.err())
        .contains("generate --model_config")
        .contains(String.valueOf(single().getFileName()));
    Ran drawn =
        Ran.of(
            "generate",
            single().toString(),
            "a dog",
            "--model_config",
            MODEL.toString(),
            "--steps",
            "1",
            "-o",
            folder.resolve("a.png").toString());
    assertThat(drawn.exitCode()).as(drawn.err()).isZero();

    Ran again = trains("--save_model_as=safetensors", "--max_train_steps=3");
    assertThat(again.err()).contains("holds an earlier run");
    assertThat(type(single())).isEqualTo(DType.F32);
  }

  @Test
  void shouldTrainFromAFileToWhatItTrainsToFromTheFolder() throws IOException {
    trains();
    Path first = Files.move(tiny.output(), folder.resolve("first"));
    Path base = folder.resolve("base.safetensors");
    assertThat(Ran.of("convert", MODEL.toString(), base.toString()).exitCode()).isZero();
    Ran ran = trains("--pretrained_model_name_or_path=" + base, "--model_config=" + MODEL);
    assertThat(ran.err()).contains("is read as Stable Diffusion 1, whose UNet predicts epsilon");
    assertSame(find(first), find(tiny.output()));
  }

  @Test
  void shouldNotWriteOverAFileThatNoRunLeft() throws IOException {
    Files.createDirectories(tiny.output());
    Files.writeString(single(), "mine");
    Ran ran = Ran.of(tiny.arguments("train", "--save_model_as=safetensors"));
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("holds out.safetensors, which no run of train left there");
    assertThat(single()).hasContent("mine");
  }
}
