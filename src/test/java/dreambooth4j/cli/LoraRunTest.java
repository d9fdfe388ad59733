package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.engine.DType;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A LoRA from the command line to the file, and to a picture drawn with it. */
@Timeout(200)
class LoraRunTest {
  private static final int STEPS = 30;

  @TempDir private Path folder;

  private TinyRun lora(String name) throws IOException {
    return new TinyRun(folder.resolve(name))
        .with("use_lora", true)
        .with("train_text_encoder", true)
        .with("learning_rate", 0.02)
        .with("max_train_steps", STEPS);
  }

  private static Path file(TinyRun run) {
    return run.output().resolve("sks.safetensors");
  }

  private static Map<String, String> notes(Path file) {
    try (Safetensors opened = Safetensors.open(file)) {
      return Map.copyOf(opened.metadata());
    }
  }

  /** Of the tensors alone: the date is another each time. */
  private static String hash(TinyRun run) {
    return Objects.requireNonNull(notes(file(run)).get("sshs_model_hash"));
  }

  @Test
  void shouldLeaveOneFileAndTheCommandThatDrawsWithIt() throws IOException {
    TinyRun tiny = lora("run").with("lora_files", "both").with("half_lora", true);
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("Saved after step " + STEPS + ": " + file(tiny))
        .contains("Draw with the model:\n  dreambooth generate --lora " + file(tiny) + " ");
    assertThat(tiny.output().resolve("pytorch_lora_weights.safetensors")).exists();
    assertThat(tiny.output().resolve("model_index.json")).doesNotExist();
    assertThat(tiny.output().resolve("unet")).doesNotExist();
    assertThat(notes(file(tiny)))
        .containsEntry("modelspec.trigger_phrase", "sks")
        .containsEntry("ss_network_dim", "4")
        .containsEntry("ss_network_alpha", "4.0")
        .containsEntry("ss_unet_lr", "0.02");

    byte[] with = drawn("with.png", "--lora", file(tiny).toString());
    assertThat(with).isNotEqualTo(drawn("without.png"));
  }

  @Test
  void shouldSayNothingOfTheTrainingWhereAskedNotTo() throws IOException {
    TinyRun tiny = lora("run").with("max_train_steps", 1).with("no_metadata", true);
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(notes(file(tiny)))
        .doesNotContainKeys("ss_learning_rate", "ss_seed", "ss_sd_model_name", "ss_tag_frequency")
        .containsEntry("ss_network_dim", "4")
        .containsEntry("modelspec.trigger_phrase", "sks");
  }

  @Test
  void shouldCountTheMostFrequentTagsAlone() throws IOException {
    TinyRun tiny = lora("run").with("max_train_steps", 1);
    StringBuilder caption = new StringBuilder("sks, man");
    for (int i = 0; i < 700; i++) {
      caption.append(", tag ").append(i);
    }
    caption.append(", ").append("long ".repeat(100));
    Files.writeString(tiny.pictures().resolve("p0.txt"), caption);
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    JsonNode tags = new ObjectMapper().readTree(notes(file(tiny)).get("ss_tag_frequency"));
    assertThat(tags.path("sks").size()).isEqualTo(500);
    assertThat(tags.path("sks").path("sks").asInt()).isEqualTo(5);
    assertThat(tags.toString()).doesNotContain("long");
  }

  @Test
  void shouldWriteTheFileInTheTypeOfSavePrecision() throws IOException {
    TinyRun tiny = lora("bf16").with("max_train_steps", 1).with("save_precision", "bf16");
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    try (Safetensors opened = Safetensors.open(file(tiny))) {
      assertThat(opened.tensors())
          .allSatisfy(
              (name, tensor) ->
                  assertThat(tensor.dtype())
                      .isEqualTo(name.endsWith(".alpha") ? DType.F32 : DType.BF16));
    }
  }

  private byte[] drawn(String name, String... more) throws IOException {
    Path picture = folder.resolve(name);
    List<String> args = new ArrayList<>(List.of("generate", TinyRun.MODEL.toString(), "sks, man"));
    args.addAll(List.of("-o", picture.toString(), "--steps=2"));
    args.addAll(List.of(more));
    Ran ran = Ran.of(args);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    return Files.readAllBytes(picture);
  }

  @Test
  void shouldSaveOnCtrlCAndGoOnToTheSameAdapters() throws Exception {
    TinyRun whole = lora("whole");
    assertThat(Ran.of(whole.arguments("train")).exitCode()).isZero();
    TinyRun stopped = lora("stopped");
    try (Child child = Child.of(stopped.arguments("train"))) {
      child.waitFor("step 1/" + STEPS).signal("INT");
      assertThat(child.exitCode()).as(child.said()).isEqualTo(Interrupt.EXIT_CODE);
      assertThat(child.said()).contains("Saved after step ", " --resume_from_checkpoint latest\n");
    }
    assertThat(file(stopped)).exists();
    Ran resumed = Ran.of(stopped.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(resumed.exitCode()).as(resumed.err()).isZero();
    assertThat(hash(stopped)).isEqualTo(hash(whole));
  }
}
