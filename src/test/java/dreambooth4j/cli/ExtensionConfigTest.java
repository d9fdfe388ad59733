package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A db_config.json as sd_dreambooth_extension writes it, with folders that are there, trains. */
class ExtensionConfigTest {
  @TempDir Path folder;

  @Test
  void shouldTrain() throws IOException {
    TinyRun tiny = new TinyRun(folder);
    String written = Files.readString(Path.of("src/test/resources/config/db_config.json"));
    String filledIn =
        written
            .replace("/data/arnold", tiny.pictures().toString())
            .replace("/models/dreambooth/arnold/working", TinyRun.MODEL.toAbsolutePath().toString())
            .replace("Arnold Schwarzenegger", "sks")
            .replace("\"num_class_images_per\": 5", "\"num_class_images_per\": 1");
    Path config = Files.writeString(folder.resolve("db_config.json"), filledIn);

    // The flags only make it short.
    Ran ran =
        Ran.of(
            "train",
            "-v",
            config.toString(),
            "--output_dir=" + tiny.output(),
            "--resolution=32",
            "--max_train_steps=3",
            "--class_infer_steps=2",
            "--save_infer_steps=2");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err().replaceAll("\\s+", " "))
        .contains("read, no effect here: attention custom_model_name deterministic")
        .contains(" initial_revision ", " lora_weight ", " save_ema ", " v2 ")
        .contains("use_ema: true, but with infer_ema: false the trained weights themselves")
        .contains("Computed in fp16 beside float32 master weights, with a loss scale")
        .contains("lr_warmup_steps: 500 counts pictures in the extension; here it is 500 steps")
        .contains("train_batch_size: 1 counts rows in the extension; here it is 1 pair");
    assertThat(tiny.output().resolve("unet/diffusion_pytorch_model.safetensors")).exists();
    assertThat(tiny.output().resolve("metrics.jsonl")).content().contains("prior");
    assertThat(tiny.classImages()).isDirectoryContaining("glob:**.png");
  }
}
