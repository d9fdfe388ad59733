package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.train.TinyRun;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainCommandTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir Path folder;

  private static List<JsonNode> metrics(Path output) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      lines.add(new ObjectMapper().readTree(line));
    }
    return lines;
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  /** The example that the README begins with, cut short. */
  @Test
  void shouldTrainTheExampleToACompleteFolder() throws IOException {
    Path output = folder.resolve("santa");
    Ran ran =
        Ran.of(
            "train",
            "src/examples/santa/config.yaml",
            "--output_dir",
            output.toString(),
            "--max_train_steps=3",
            "--num_class_images_per=1",
            "--class_infer_steps=2",
            "--save_infer_steps=2",
            "--n_save_sample=2",
            "--validation_steps=2");
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(names(output))
        .containsExactly(
            ".lock",
            ".model.json",
            "cache",
            "class_images",
            "class_images.html",
            "config.yaml",
            "metrics.jsonl",
            "model_index.json",
            "report.html",
            "run.json",
            "samples",
            "scheduler",
            "text_encoder",
            "tokenizer",
            "unet",
            "vae");
    Path base = Path.of("weights/sprites64");
    for (String same : List.of("model_index.json", "unet/config.json", "vae/config.json")) {
      assertThat(output.resolve(same)).hasSameTextualContentAs(base.resolve(same));
    }
    assertThat(Files.mismatch(output.resolve(UNET), base.resolve(UNET))).isNotNegative();
    assertThat(names(output.resolve("samples")))
        .containsExactly("000000-santa.png", "000002-santa.png", "000003-santa.png");
    BufferedImage sheet = ImageIO.read(output.resolve("samples/000002-santa.png").toFile());
    assertThat(sheet.getWidth()).isEqualTo(2 * 128); // of 64 pixels, enlarged
    assertThat(sheet.getHeight()).isGreaterThan(128); // words above them
    assertThat(GenerateCommandTest.parameters(output.resolve("samples/000002-santa.png")))
        .startsWith("santa, ")
        .contains("\nSteps: 2, Sampler: ", ", CFG scale: ", ", Seed: ", ", Size: 64x64, Model: ")
        .endsWith(", Clip skip: 1, Training step: 2, Batch size: 2");
    assertThat(names(output.resolve("class_images/santa"))).hasSize(24);
    assertThat(metrics(output)).extracting(m -> m.path("step").asInt()).containsExactly(1, 2, 3);
    assertThat(metrics(output))
        .allSatisfy(
            m -> {
              assertThat(m.path("instance_loss").asDouble()).isPositive();
              assertThat(m.path("prior_loss").asDouble()).isPositive();
              assertThat(m.path("grad_norm").asDouble()).isPositive();
              assertThat(Instant.parse(m.path("time").asText())).isBefore(Instant.now());
            });
    assertThat(ran.err())
        .contains("Concept santa: 8 pictures of 3 sizes in ")
        .contains("Class images: 0 there, 8 to make")
        .contains("Drawing 2 samples after step 2 ...")
        .contains("step 3/3 | ")
        .contains("Saved after step 3: " + output)
        .contains("Memory: the run needs about ")
        .doesNotContain("Memory plan for")
        .containsPattern(
            "Peak memory: tensors [^\\n"
                + "]*\n"
                + "Report: [^\\n"
                + "]*report.html\n"
                + "How far other words moved [^\\n"
                + "]*; to measure (more|it): dreambooth bleed [^\\n"
                + "]*\n"
                + "Samples: [^\\n"
                + "]*samples\n"
                + "Class images: [^\\n"
                + "]*class_images.html\n"
                + "Draw with the model:\n"
                + "  dreambooth generate ")
        .contains(output + " 'santa, ", "' -o santa.png -n 4\n")
        .doesNotContain("--resume_from_checkpoint")
        .doesNotContain("\r")
        .doesNotContain("\u001b")
        .doesNotContain("NaN");
  }

  /** Written beside the model: what was run can be run again. */
  @Test
  void shouldRepeatARunFromTheConfigurationItLeft() throws IOException {
    TinyRun tiny = new TinyRun(folder).with("max_train_steps", 2).with("train_text_encoder", true);
    assertThat(Ran.of(tiny.arguments("train")).exitCode()).isZero();
    Path again = folder.resolve("again");
    Ran ran =
        Ran.of(
            "train",
            tiny.output().resolve("config.yaml").toString(),
            "--output_dir",
            again.toString());
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err()).contains("Class images: 5 there, 0 to make");
    for (String same : List.of(UNET, "text_encoder/model.safetensors")) {
      assertThat(again.resolve(same)).hasSameBinaryContentAs(tiny.output().resolve(same));
    }
  }

  @Test
  void shouldGoOnFromTheLatestCheckpointAndContinueItsMetrics() throws IOException {
    TinyRun whole = new TinyRun(folder.resolve("whole")).with("max_train_steps", 5);
    whole.with("checkpointing_steps", 2).with("checkpoints_total_limit", 1);
    assertThat(Ran.of(whole.arguments("train")).exitCode()).isZero();
    assertThat(names(whole.output()))
        .contains("checkpoint-4")
        .doesNotContain("checkpoint-2", "checkpoint-5");
    byte[] model = Files.readAllBytes(whole.output().resolve(UNET));
    List<JsonNode> before = metrics(whole.output());
    // As a crash leaves it: a line half written.
    Files.writeString(
        whole.output().resolve("metrics.jsonl"),
        Files.readString(whole.output().resolve("metrics.jsonl")) + "{\"step\":6,\"lo");
    for (String from : List.of("latest", "checkpoint-4")) {
      Ran ran = Ran.of(whole.arguments("train", "--resume_from_checkpoint=" + from));
      assertThat(ran.exitCode()).as(ran.err()).isZero();
      assertThat(ran.err()).contains("Training: 5 steps, 5 an epoch, from step 5");
      assertThat(whole.output().resolve(UNET)).hasBinaryContent(model);
      assertThat(metrics(whole.output()))
          .extracting(m -> m.path("step").asInt(), m -> m.path("loss").asDouble())
          .isEqualTo(
              before.stream()
                  .map(m -> tuple(m.path("step").asInt(), m.path("loss").asDouble()))
                  .toList());
    }
  }

  @Test
  void shouldResumeWhatWasWrittenLastNotWhatWentFurthest() throws IOException {
    TinyRun tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0);
    tiny.with("max_train_steps", 4).with("checkpointing_steps", 3);
    assertThat(Ran.of(tiny.arguments("train")).exitCode()).isZero();
    tiny.with("checkpointing_steps", 2)
        .with("max_train_steps", 3)
        .with("checkpoints_total_limit", 1);
    assertThat(Ran.of(tiny.arguments("train")).exitCode()).isZero();
    assertThat(names(tiny.output())).contains("checkpoint-2").doesNotContain("checkpoint-3");
  }

  @Test
  void shouldSayWhatIsNotAsItWasWhenItGoesOn() throws IOException {
    TinyRun tiny = new TinyRun(folder).withPaintedClassImages().with("n_save_sample", 0);
    tiny.with("max_train_steps", 3).with("checkpointing_steps", 2);
    assertThat(Ran.of(tiny.arguments("train")).exitCode()).isZero();
    Ran same = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(same.exitCode()).as(same.err()).isZero();
    assertThat(same.err()).doesNotContain("warning:");
    tiny.with("learning_rate", "0.002").with("train_batch_size", 2);
    Files.writeString(tiny.pictures().resolve("p3.txt"), "sks, man, snow");
    Ran ran = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("warning: it goes on from ", "but not exactly as that run would have: ")
        .contains("learning_rate was '0.001', is '0.002'", "train_batch_size was '1', is '2'")
        .containsPattern("instance pictures was '5 [0-9a-f]{8}', is '5 [0-9a-f]{8}'")
        .doesNotContain("seed was", "prior_loss_weight was");
  }

  @Test
  void shouldExtendAFinishedRunThatKeptItsState() throws IOException {
    TinyRun whole = new TinyRun(folder.resolve("whole")).withPaintedClassImages();
    whole.with("max_train_steps", 5).with("n_save_sample", 0);
    assertThat(Ran.of(whole.arguments("train")).exitCode()).isZero();
    Ran none = Ran.of(whole.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(none.exitCode()).isEqualTo(3);
    assertThat(none.err()).contains("only a finished model (save_state_after: true would have");
    TinyRun part = new TinyRun(folder.resolve("part")).withPaintedClassImages();
    part.with("max_train_steps", 2).with("n_save_sample", 0).with("save_state_after", true);
    assertThat(Ran.of(part.arguments("train")).exitCode()).isZero();
    assertThat(names(part.output())).contains("checkpoint-2");
    Ran again = Ran.of(part.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(again.exitCode()).as(again.err()).isZero();
    assertThat(again.err()).contains("all 2 steps are done: raise max_train_steps");
    part.with("max_train_steps", 5);
    Ran ran = Ran.of(part.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err()).contains("max_train_steps was '2', is '5'");
    assertThat(part.output().resolve(UNET)).hasSameBinaryContentAs(whole.output().resolve(UNET));
    assertThat(metrics(part.output())).hasSize(5);
    assertThat(names(part.output())).contains("checkpoint-5").doesNotContain("metrics-1.jsonl");
  }

  @Test
  void shouldKeepWhatAnEarlierRunLeftOfItself() throws IOException {
    TinyRun tiny = new TinyRun(folder).withoutClass().with("max_train_steps", 3);
    assertThat(Ran.of(tiny.arguments("train", "--save_state_after=true")).exitCode()).isZero();
    Files.createDirectories(tiny.output().resolve("class_images-4/sks"));
    Path large = tiny.output().resolve("checkpoint-3/large");
    Files.write(large, new byte[25_000_000]);
    assertThat(names(tiny.output())).contains("checkpoint-3");
    for (int steps : new int[] {2, 1}) {
      Ran ran = Ran.of(tiny.with("max_train_steps", steps).arguments("train"));
      assertThat(ran.exitCode()).as(ran.err()).isZero();
      String number = Integer.toString(3 - steps);
      String size = steps == 2 ? "(2[5-9]|[3-9][0-9])" : "[0-9][.][0-9]";
      assertThat(ran.err().replaceAll("\\s+", " "))
          .containsPattern(
              "an earlier run: its files besides the model, " + size + " MB, were moved to")
          .contains("config-N.yaml, metrics-N.jsonl, re".replace("N", number))
          .contains("samples-N, which you may delete, since no run needs it".replace("N", number))
          .contains("The model is replaced at the end");
      assertThat(ran.err().contains("checkpoints-1")).isEqualTo(steps == 2);
      large = tiny.output().resolve("checkpoints-1/checkpoint-3/large");
      assertThat(large).hasSize(25_000_000);
    }
    Files.delete(large);
    assertThat(names(tiny.output()))
        .contains("config-1.yaml", "config-2.yaml", "samples-2")
        .doesNotContain("checkpoint-3");
    assertThat(names(tiny.output().resolve("checkpoints-1"))).containsExactly("checkpoint-3");
    assertThat(tiny.output().resolve("class_images-4")).doesNotExist();
    assertThat(tiny.output().resolve("refreshed_class_images-1/class_images-4/sks")).exists();
    assertThat(Files.readAllLines(tiny.output().resolve("metrics-1.jsonl"))).hasSize(3);
    assertThat(Files.readAllLines(tiny.output().resolve("metrics-2.jsonl"))).hasSize(2);
    assertThat(metrics(tiny.output())).hasSize(1);
    assertThat(names(tiny.output().resolve("samples-1"))).contains("000003-sks.png");
    assertThat(names(tiny.output().resolve("samples"))).doesNotContain("000003-sks.png");
    Path aside = tiny.output().resolve("checkpoints-1/checkpoint-3");
    Ran further =
        Ran.of(
            tiny.with("max_train_steps", 4)
                .arguments("train", "--resume_from_checkpoint=" + aside));
    assertThat(further.exitCode()).as(further.err()).isZero();
    assertThat(Files.readAllLines(tiny.output().resolve("metrics-3.jsonl")))
        .as("the newer run's steps are kept beside those of the one gone on with")
        .hasSize(1);
    assertThat(metrics(tiny.output())).hasSize(1);
  }

  @Test
  void shouldSayThatAnotherBaseModelMadeTheClassImages() throws IOException {
    TinyRun tiny = new TinyRun(folder).with("n_save_sample", 0).with("max_train_steps", 1);
    Ran own = Ran.of(tiny.arguments("train"));
    assertThat(own.exitCode()).as(own.err()).isZero();
    for (String name : names(tiny.classImages())) {
      if (name.endsWith(".json")) {
        Path record = tiny.classImages().resolve(name);
        String text = Files.readString(record);
        Files.writeString(record, text.replaceFirst("\"model\" : \"\\w", "\"model\" : \"x"));
      }
    }
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("warning: 5 of the class images that are there were made by another base model")
        .contains("Class images: 5 there, 0 to make");
    assertThat(own.err()).doesNotContain("another base model");
  }

  /** Five steps an epoch: another generation of class images after 5 steps and after 10. */
  private TinyRun refreshed(String name) throws IOException {
    return new TinyRun(folder.resolve(name))
        .withPaintedClassImages()
        .with("class_images_refresh_epochs", 1)
        .with("checkpointing_steps", 7)
        .with("max_train_steps", 12)
        .with("n_save_sample", 0);
  }

  @Test
  void shouldMakeClassImagesAnewAndGoOnToTheSameWeights() throws IOException {
    TinyRun tiny = refreshed("fresh");
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err().lines().filter(line -> line.startsWith("Made 5 class images"))).hasSize(2);
    byte[] model = Files.readAllBytes(tiny.output().resolve(UNET));
    List<JsonNode> metrics = metrics(tiny.output());
    List<String> second = names(tiny.output().resolve("class_images-2/sks"));
    assertThat(second).hasSize(15);
    assertThat(tiny.output().resolve("class_images-1")).doesNotExist();
    Ran resumed = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(resumed.exitCode()).as(resumed.err()).isZero();
    assertThat(resumed.err()).contains("from step 8", "Made 5 class").doesNotContain("warning:");
    assertThat(tiny.output().resolve(UNET)).hasBinaryContent(model);
    assertThat(names(tiny.output().resolve("class_images-2/sks"))).isEqualTo(second);

    // The base model makes them, not what it has become.
    TinyRun faster = refreshed("faster").with("learning_rate", "0.01");
    assertThat(Ran.of(faster.arguments("train")).exitCode()).isZero();
    assertThat(names(faster.output().resolve("class_images-2/sks"))).isEqualTo(second);

    TinyRun stale = refreshed("stale").with("class_images_refresh_epochs", 0);
    assertThat(Ran.of(stale.arguments("train")).exitCode()).isZero();
    for (int i = 0; i < 12; i++) {
      double loss = metrics.get(i).path("prior_loss").asDouble();
      double staleLoss = metrics(stale.output()).get(i).path("prior_loss").asDouble();
      assertThat(loss == staleLoss).as("step %d", i + 1).isEqualTo(i < 5);
    }
  }

  @Test
  void shouldSaveWhatWasLearntWhenClassImagesCannotBeMadeAnew() throws IOException {
    TinyRun tiny = refreshed("blocked");
    Files.createDirectories(tiny.output());
    Files.createFile(tiny.output().resolve("class_images-1"));
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isEqualTo(1);
    assertThat(ran.err())
        .contains("class_images-1/sks/", "cannot be written", "Saved after step 5");
    assertThat(names(tiny.output())).contains("checkpoint-5");
  }

  @Test
  void shouldRefuseWhatCannotBeResumed() throws IOException {
    TinyRun tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0);
    Ran none = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(none.exitCode()).isEqualTo(3);
    assertThat(none.err()).contains("has no checkpoint to resume from");
    Ran gone = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=checkpoint-7"));
    assertThat(gone.exitCode()).isEqualTo(3);
    assertThat(gone.err()).contains("checkpoint-7: expected a checkpoint");
    tiny.with("checkpointing_steps", 2).with("max_train_steps", 3);
    assertThat(Ran.of(tiny.arguments("train")).exitCode()).isZero();
    Ran seed = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=latest", "--seed=7"));
    assertThat(seed.exitCode()).isEqualTo(3);
    assertThat(seed.err()).contains("its seed is 42, this run's 7");
    tiny.with("max_train_steps", 1);
    Ran beyond = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(beyond.exitCode()).isEqualTo(2);
    assertThat(beyond.err()).contains("has 2 steps done and this run ends at 1");
  }

  @Test
  void shouldRefuseToCaptureStepsOnTheCpuBeforeClassImagesAreMade() throws IOException {
    TinyRun tiny = new TinyRun(folder).with("cuda_graph", true);
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err())
        .contains("Class images: 0 there, 5 to make", "cuda_graph: true: the run is on the CPU");
    assertThat(tiny.output().resolve("class_images")).doesNotExist();
  }

  @Test
  void shouldSayWhatARunWouldNeedWithoutDoingIt() {
    Path output = folder.resolve("none");
    Ran ran =
        Ran.of(
            "train",
            "src/examples/santa/config.yaml",
            "--dry-run",
            "--pretrained_model_name_or_path=src/test/resources/models/sd15",
            "--output_dir",
            output.toString(),
            "--resolution=512",
            "--train_batch_size=1");
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.out())
        .contains("resolution: 512")
        .containsPattern("CPU +GPU bf16 +GPU full_bf16 +options")
        .contains("gradient_checkpointing + use_8bit_adam + fused_backward_pass");
    assertThat(ran.err())
        .contains("Concept santa: 8 pictures", "Class images: 0 there")
        .contains("Memory plan for 2 rows of 512x512 on the CPU")
        .containsPattern("UNet down 0 +\\d+ MB");
    assertThat(output).doesNotExist();
  }

  /** Of one that is not here. */
  @Test
  void shouldSayWhatARunWouldNeedOnAGpu() {
    Ran ran =
        Ran.of(
            "train",
            "src/examples/santa/config.yaml",
            "--dry-run",
            "--pretrained_model_name_or_path=src/test/resources/models/sd15",
            "--output_dir",
            folder.resolve("none").toString(),
            "--device=cuda",
            "--mixed_precision=bf16",
            "--full_bf16",
            "--use_8bit_adam",
            "--gradient_checkpointing",
            "--fused_backward_pass",
            "--max_grad_norm=0",
            "--train_text_encoder=false",
            "--resolution=512",
            "--train_batch_size=1");
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .containsPattern("Memory plan for 2 rows of 512x512 on a GPU: 4\\d\\d\\d MB")
        .contains("there is none here to compare with", "bf16 alone, updates rounded at random");
  }

  @Test
  void shouldTrainInBf16AloneAndDrawWithWhatItSaved() throws IOException {
    TinyRun tiny = new TinyRun(folder).with("mixed_precision", "bf16").with("full_bf16", true);
    Ran ran = Ran.of(tiny.with("max_train_steps", 2).arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err()).contains("Computed in bf16 alone, updates rounded at random");
    assertThat(tiny.output().resolve("samples")).isNotEmptyDirectory();
    Ran picture =
        Ran.of(
            "generate",
            tiny.output().toString(),
            "sks",
            "-o",
            folder.resolve("sks.png").toString(),
            "--steps=2");
    assertThat(picture.exitCode()).as(picture.err()).isZero();
  }

  /** Long captions from class images to the trained model and a picture of it. */
  @Test
  void shouldReadLongCaptionsAsFarAsItIsTold() throws IOException {
    TinyRun tiny =
        new TinyRun(folder)
            .with("max_token_length", 150)
            .with("train_text_encoder", true)
            .with("max_train_steps", 1)
            .with("save_sample_prompt", "hat, ".repeat(120));
    Files.writeString(
        tiny.pictures().resolve("p1.txt"), "sks, man, " + "hat, ".repeat(80) + "snow");
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("p1.png: its instance prompt has ")
        .contains("p1.png: its class caption has ")
        .contains("save_sample_prompt of sks has ")
        .contains(" tokens, of which 150 are read; cut off: ")
        .doesNotContain("p0.png")
        .contains("warning: shorten them: max_token_length: 225 is the most that can be read");
    assertThat(tiny.output().resolve("config.yaml")).content().contains("max_token_length: 150");
    Ran picture =
        Ran.of(
            "generate",
            tiny.output().toString(),
            "sks, " + "hat, ".repeat(40),
            "-o",
            folder.resolve("sks.png").toString(),
            "--steps=2");
    assertThat(picture.exitCode()).as(picture.err()).isZero();
    assertThat(picture.err()).contains("so it draws").doesNotContain("cut off");
  }
}
