package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.data.TestPictures;
import dreambooth4j.pipeline.Caches;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The caches on disk as a run uses them: five pictures and five class images, eight prompts. */
class CachesTest {
  @TempDir static Path first;
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  private static TinyRun run(Path folder) throws IOException {
    return new TinyRun(folder).withPaintedClassImages().with("num_train_epochs", 2);
  }

  @BeforeEach
  void pictures() throws IOException {
    tiny = run(folder);
  }

  /** How many were there, and how many were encoded, by kind. */
  private static final class Heard implements Caches.Listener {
    final Map<String, Integer> there = new TreeMap<>();
    final Map<String, Integer> all = new TreeMap<>();
    final Map<String, Integer> encoded = new TreeMap<>();

    @Override
    public void cached(String what, int found, int total, Path where) {
      there.put(what, found);
      all.put(what, total);
    }

    @Override
    public void encoded(String what, int done, int missing) {
      encoded.put(what, done);
      assertThat(missing).isEqualTo(missing(what));
    }

    /** How many were to be encoded; -1 if nobody asked. */
    int missing(String what) {
      return all.getOrDefault(what, 0) - there.getOrDefault(what, 1);
    }
  }

  private static Heard fill(TinyRun run) {
    Heard heard = new Heard();
    try (TinyTrainer trainer = new TinyTrainer(run)) {
      long tensors = trainer.run.meter().liveCount();
      trainer.trainer.fillCaches(heard, () -> false);
      assertThat(trainer.run.meter().liveCount()).isEqualTo(tensors);
      assertThat(trainer.notes).isEmpty();
    }
    return heard;
  }

  @BeforeAll
  static void fillOnce() throws IOException {
    Heard heard = fill(run(first));
    assertThat(heard.there).isEqualTo(Map.of("latents", 0, "prompts", 0));
    assertThat(heard.encoded).isEqualTo(Map.of("latents", 10, "prompts", 8));
  }

  private interface Change {
    void on(CachesTest test) throws IOException;
  }

  private static Arguments row(String what, int latents, int prompts, Change change) {
    return Arguments.of(what, latents, prompts, change);
  }

  /** What is changed, and how many latents and prompts are encoded then; -1 is none asked for. */
  static Stream<Arguments> changes() {
    return Stream.of(
        row("nothing", 0, 0, t -> {}),
        row("seed", 0, 0, t -> t.tiny.with("seed", 7)),
        row("learning_rate", 0, 0, t -> t.tiny.with("learning_rate", 0.5)),
        row("train_batch_size", 0, 0, t -> t.tiny.with("train_batch_size", 3)),
        row("output_dir", 0, 0, t -> t.tiny.with("output_dir", t.folder.resolve("other"))),
        row("time and name of a picture", 0, 0, CachesTest::rename),
        row("place of the base model", 0, 0, t -> t.model("", 0)),
        row("weights of the UNet", 0, 0, t -> t.model("unet", 0x80)),
        row("weights of the VAE", 10, 0, t -> t.model("vae", 0x80)),
        row("weights of the text encoder", 0, 8, t -> t.model("text_encoder", 0x80)),
        row("tokenizer", 0, 8, t -> t.model("tokenizer", 0)),
        row("clip_skip", 0, 8, t -> t.tiny.with("clip_skip", 2)),
        row("a picture", 1, 0, t -> t.paint("p0", 32, "hat", 99)),
        row("a caption", 0, 1, t -> t.caption("p4", "man, sks, red scarf")),
        // Class images of the other size there are none.
        row("size", 5, 0, t -> t.tiny.with("resolution", 64)),
        // Only of the wide ones something is cut off.
        row("crop", 4, 0, t -> t.tiny.with("crop", "0.1,0.1")),
        row("text encoder trains", 0, -1, t -> t.tiny.with("train_text_encoder", true)),
        row("tags are drawn", 0, -1, t -> t.tiny.with("shuffle_tags", true)),
        row("places are drawn", -1, 0, t -> t.tiny.with("crop", "random")));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("changes")
  void shouldNoticeWhatChangesAndNothingElse(String what, int latents, int prompts, Change change)
      throws IOException {
    tiny.with("cache_dir", first.resolve("out/cache")); // of the same pictures elsewhere
    change.on(this);
    Heard heard = fill(tiny);
    assertThat(heard.missing("latents")).as("latents after another " + what).isEqualTo(latents);
    assertThat(heard.missing("prompts")).as("prompts after another " + what).isEqualTo(prompts);
  }

  private void paint(String name, int width, String tags, int seed) throws IOException {
    TestPictures.paint(tiny.pictures(), name, width, 32, "sks, man, " + tags, seed);
  }

  private void rename() throws IOException {
    Files.move(tiny.pictures().resolve("p0.png"), tiny.pictures().resolve("q0.png"));
    Files.move(tiny.pictures().resolve("p0.txt"), tiny.pictures().resolve("q0.txt"));
  }

  private void caption(String name, String text) throws IOException {
    Files.writeString(tiny.pictures().resolve(name + ".txt"), text);
  }

  /** A copy of the base model in which a component's last byte, or a flag of it, is another. */
  private void model(String component, int flipped) throws IOException {
    Path copy = folder.resolve("model");
    TinyModel.copy(copy);
    tiny.with("pretrained_model_name_or_path", copy);
    if (component.isEmpty()) {
      return;
    }
    List<Path> files;
    try (Stream<Path> all = Files.list(copy.resolve(component))) {
      files = all.filter(f -> f.toString().matches(".*(safetensors|tokenizer.json)")).toList();
    }
    assertThat(files).hasSize(1);
    byte[] bytes = Files.readAllBytes(files.get(0));
    if (flipped == 0) {
      String text = Files.readString(files.get(0));
      String changed = text.replaceFirst("(\"single_word\": *)false", "$1true");
      assertThat(changed).isNotEqualTo(text);
      Files.writeString(files.get(0), changed);
    } else {
      bytes[bytes.length - 1] ^= (byte) flipped; // a weight changes its sign
      Files.write(files.get(0), bytes);
    }
  }

  @Test
  void shouldKeepMirroredPicturesApart() {
    tiny.with("hflip", true).with("num_train_epochs", 12);
    Heard first = fill(tiny);
    assertThat(first.all.get("latents")).isGreaterThan(15);
    Heard plain = fill(tiny.with("hflip", false));
    assertThat(plain.all.get("latents")).isEqualTo(10);
    assertThat(plain.there.get("latents")).isGreaterThan(5);
  }

  @Test
  void shouldEncodeOnlyWhatTheStepsToComeWillSee() {
    Heard heard = fill(tiny.with("max_train_steps", 2));
    assertThat(heard.all).containsEntry("latents", 4);
  }

  @Test
  void shouldTrainToTheSameWeightsWithAndWithoutACache() {
    tiny.with("hflip", true).with("offset_noise", 0.1).with("train_batch_size", 2);
    try (TinyTrainer without = new TinyTrainer(tiny.with("cache_latents", false)).train();
        TinyTrainer cold = new TinyTrainer(tiny.with("cache_latents", true)).train();
        TinyTrainer warm = new TinyTrainer(tiny).train();
        TinyTrainer filled = new TinyTrainer(tiny.with("cache_dir", folder.resolve("other")))) {
      filled.trainer.fillCaches(new Heard(), () -> false);
      filled.train();
      for (TinyTrainer each : List.of(cold, warm, filled)) {
        assertThat(each.timeless()).isEqualTo(without.timeless());
        assertThat(each.unet()).isEqualTo(without.unet());
        assertThat(each.notes).isEmpty();
      }
    }
  }

  /** Prompts of a text encoder that has learnt something are not those of the base model. */
  @Test
  void shouldNotTakeABaseModelsPromptsForThoseOfATrainedTextEncoder() {
    fill(tiny);
    tiny.with("stop_text_encoder", 0.5).with("train_batch_size", 3);
    try (TinyTrainer without = new TinyTrainer(tiny.with("cache_latents", false)).train();
        TinyTrainer with = new TinyTrainer(tiny.with("cache_latents", true)).train()) {
      assertThat(with.unet()).isEqualTo(without.unet());
    }
    assertThat(fill(tiny.with("stop_text_encoder", 0)).there).containsEntry("prompts", 8);
  }

  /** Memory does not grow with the number of pictures where they are on disk. */
  @Test
  void shouldHoldNothingInMemoryThatIsOnDisk() {
    try (TinyTrainer disk = new TinyTrainer(tiny)) {
      assertThat(disk.trainer.training().groups()).hasSize(1); // allocates what is remembered
      long bytes = disk.run.meter().liveBytes();
      disk.trainer.fillCaches(new Heard(), () -> false);
      disk.train().trainer.close(); // with the places of its batches
      assertThat(disk.run.meter().liveBytes()).isEqualTo(bytes);
    }
    try (TinyTrainer memory = new TinyTrainer(tiny.with("cache_latents", false))) {
      assertThat(memory.trainer.training().groups()).hasSize(1); // allocates what is remembered
      long tensors = memory.run.meter().liveCount();
      Heard heard = new Heard();
      memory.trainer.fillCaches(heard, () -> false);
      assertThat(heard.all).isEmpty();
      memory.train().trainer.close();
      assertThat(memory.run.meter().liveCount()).isEqualTo(tensors + 10 + 8);
    }
  }

  @Test
  void shouldTrainOnWhereTheCacheCannotBeWritten() throws IOException {
    Path inTheWay = Files.writeString(folder.resolve("file"), "");
    try (TinyTrainer without = new TinyTrainer(tiny.with("cache_latents", false)).train();
        TinyTrainer with =
            new TinyTrainer(tiny.with("cache_latents", true).with("cache_dir", inTheWay))) {
      Heard heard = new Heard();
      with.trainer.fillCaches(heard, () -> false);
      assertThat(heard.encoded).containsEntry("latents", 1);
      with.train();
      assertThat(with.unet()).isEqualTo(without.unet());
      assertThat(with.notes).hasSize(1).first().asString().contains("cannot be written");
    }
  }

  @Test
  void shouldTrainToTheSameWeightsWhereEntriesWereDamaged() throws IOException {
    try (TinyTrainer first = new TinyTrainer(tiny).train();
        TinyTrainer second = new TinyTrainer(tiny)) {
      List<Path> entries = new ArrayList<>();
      try (Stream<Path> all = Files.walk(tiny.output().resolve("cache"))) {
        all.filter(Files::isRegularFile).forEach(entries::add);
      }
      assertThat(entries).hasSize(18);
      for (int i = 0; i < entries.size(); i += 2) {
        byte[] bytes = Files.readAllBytes(entries.get(i));
        bytes[bytes.length - 2] ^= 1;
        Files.write(entries.get(i), bytes);
      }
      assertThat(second.train().unet()).isEqualTo(first.unet());
      assertThat(second.notes).hasSize(1).first().asString().contains("damaged");
      assertThat(fill(tiny).encoded).isEmpty();
    }
  }

  @Test
  void shouldLeaveTheRestForAnotherTimeWhenStopped() {
    Heard heard = new Heard();
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      trainer.trainer.fillCaches(heard, () -> heard.encoded.getOrDefault("latents", 0) == 3);
    }
    assertThat(heard.encoded).isEqualTo(Map.of("latents", 3));
    assertThat(fill(tiny).there).isEqualTo(Map.of("latents", 3, "prompts", 0));
  }
}
