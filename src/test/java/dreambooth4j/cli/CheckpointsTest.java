package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which checkpoints and models a run leaves on its way. */
class CheckpointsTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void quickRun() throws IOException {
    tiny = run("run");
  }

  private TinyRun run(String name) throws IOException {
    return new TinyRun(folder.resolve(name)).withoutClass().with("n_save_sample", 0);
  }

  private static Ran trains(TinyRun run, String... more) {
    Ran ran = Ran.of(run.arguments("train", more));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    return ran;
  }

  private static List<String> names(Path folder, String begin) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith(begin))
          .sorted()
          .toList();
    }
  }

  @Test
  void shouldKeepTheLastOnesAndEachThirdOne() throws IOException {
    tiny.with("checkpointing_steps", 1).with("checkpoints_total_limit", 2);
    tiny.with("checkpoints_keep_every", 3).with("max_train_steps", 9);
    trains(tiny);
    assertThat(names(tiny.output(), "checkpoint-"))
        .containsExactly("checkpoint-3", "checkpoint-6", "checkpoint-7", "checkpoint-8");
  }

  @Test
  void shouldWriteThemByTheClockToo() throws IOException {
    tiny.with("checkpointing_steps", 0).with("max_train_steps", 3);
    trains(tiny.with("checkpointing_minutes", 60));
    assertThat(names(tiny.output(), "checkpoint-")).isEmpty();
    trains(tiny.with("checkpointing_minutes", 1e-6));
    assertThat(names(tiny.output(), "checkpoint-")).containsExactly("checkpoint-1", "checkpoint-2");
  }

  @Test
  void shouldSaveTheModelOnTheWayAsIfItEndedThere() throws IOException {
    trains(tiny.with("save_model_every", 2).with("max_train_steps", 5).with("use_ema", true));
    assertThat(names(tiny.output(), "model-")).containsExactly("model-2", "model-4");
    TinyRun two = run("two").with("max_train_steps", 2).with("use_ema", true);
    trains(two);
    Path onTheWay = tiny.output().resolve("model-2");
    assertThat(onTheWay.resolve(UNET)).hasSameBinaryContentAs(two.output().resolve(UNET));
    String picture = folder.resolve("a.png").toString();
    Ran drawn = Ran.of("generate", onTheWay.toString(), "sks hat", "-o", picture, "--steps=1");
    assertThat(drawn.exitCode()).as(drawn.err()).isZero();
    trains(tiny.with("max_train_steps", 3));
    assertThat(names(tiny.output(), "model-")).containsExactly("model-2");
    assertThat(names(tiny.output().resolve("models-1"), "model-"))
        .containsExactly("model-2", "model-4");
  }

  @Test
  void shouldOfferTheOneBeforeWhereOneIsDamaged() throws IOException {
    tiny.with("checkpointing_steps", 1).with("max_train_steps", 4);
    trains(tiny);
    byte[] whole = Files.readAllBytes(tiny.output().resolve(UNET));
    Path state = tiny.output().resolve("checkpoint-3/training_state.safetensors");
    try (RandomAccessFile bytes = new RandomAccessFile(state.toFile(), "rw")) {
      bytes.seek(bytes.length() - 2);
      bytes.write(99);
    }
    Path before = tiny.output().resolve("checkpoint-2");
    assertOffers(before);
    Files.write(state, new byte[] {1, 2, 3});
    assertOffers(before);
    trains(tiny, "--resume_from_checkpoint=" + before);
    assertThat(tiny.output().resolve(UNET)).hasBinaryContent(whole);
  }

  private void assertOffers(Path before) {
    Ran ran = Ran.of(tiny.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(ran.exitCode()).as(ran.err()).isEqualTo(3);
    assertThat(ran.err())
        .contains("checkpoint-3", "continue with --resume_from_checkpoint " + before + ".");
  }
}
