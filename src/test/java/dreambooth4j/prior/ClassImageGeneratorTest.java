package dreambooth4j.prior;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Concept;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.ImageSize;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.train.ModelToTrain;
import dreambooth4j.train.TinyModel;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClassImageGeneratorTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void fivePicturesOfTwoSizes() throws IOException {
    tiny = new TinyRun(folder).with("sample_batch_size", 2);
  }

  private ClassImagePlan plan() {
    return ClassImagePlan.of(tiny.config(), Concept.scanAll(tiny.config()));
  }

  /** Makes what is missing; how many were made after each batch. */
  private List<Integer> generate(BooleanSupplier stop) {
    return generate(TinyRun.MODEL, stop, Long.MAX_VALUE);
  }

  /** {@code spare}: bytes that the tensors may take beside the model. */
  private List<Integer> generate(Path base, BooleanSupplier stop, long spare) {
    Config config = tiny.config();
    List<Integer> made = new ArrayList<>();
    ModelFolder folder = ModelFolder.open(base, null);
    try (Arena run = Arena.open("run");
        StableDiffusion model = StableDiffusion.load(run, folder)) {
      long before = run.meter().liveCount();
      run.meter().limit(spare == Long.MAX_VALUE ? spare : run.meter().liveBytes() + spare);
      new ClassImageGenerator(config, folder, model)
          .generate(run, plan(), (done, missing) -> made.add(done), stop);
      assertThat(run.meter().liveCount()).isEqualTo(before);
    }
    return made;
  }

  /** Every file of the class folder with its content. */
  private Map<String, String> files() throws IOException {
    Map<String, String> files = new TreeMap<>();
    try (Stream<Path> all = Files.list(tiny.classImages())) {
      for (Path file : all.toList()) {
        files.put(
            file.getFileName().toString(), HexFormat.of().formatHex(Files.readAllBytes(file)));
      }
    }
    return files;
  }

  /** Every picture's pixels by what it was made from. */
  private Map<ClassImageRecord, byte[]> drawn() throws IOException {
    Map<ClassImageRecord, byte[]> drawn = new HashMap<>();
    for (Path file : pictures()) {
      ImageSize size = ImageReader.size(file);
      drawn.put(
          Objects.requireNonNull(ClassImageRecord.beside(file)),
          ImageReader.read(file, new Bucket(size.width(), size.height())).rgb());
    }
    return drawn;
  }

  /** Batches of another size round otherwise, so a grey value may be the next. */
  private static void assertSamePictures(
      Map<ClassImageRecord, byte[]> pictures, Map<ClassImageRecord, byte[]> expected) {
    assertThat(pictures.keySet()).isEqualTo(expected.keySet());
    pictures.forEach(
        (record, pixels) -> {
          byte[] others = Objects.requireNonNull(expected.get(record));
          assertThat(pixels).hasSameSizeAs(others);
          for (int i = 0; i < pixels.length; i++) {
            assertThat((pixels[i] & 255) - (others[i] & 255)).as("%s", record).isBetween(-1, 1);
          }
        });
  }

  private List<Path> pictures() throws IOException {
    try (Stream<Path> all = Files.list(tiny.classImages())) {
      return all.filter(f -> f.toString().endsWith(".png")).sorted().toList();
    }
  }

  @Test
  void shouldMakeAllThatAreAskedForAndNoneTheNextTime() throws Exception {
    // 32 for 5 pictures: 7 for each, and 2 of them share caption and size.
    tiny.with("num_class_images", 32);
    assertThat(plan().missing()).isEqualTo(35);
    List<Integer> made = generate(() -> false);
    assertThat(made.get(made.size() - 1)).isEqualTo(35);
    assertThat(pictures()).hasSize(35);
    Map<String, Integer> sizes = new TreeMap<>();
    for (Path picture : pictures()) {
      ImageSize size = ImageReader.size(picture);
      byte[] pixels = ImageReader.read(picture, new Bucket(size.width(), size.height())).rgb();
      String name = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(pixels));
      assertThat(picture).hasFileName(name + ".png");
      String caption = Files.readString(picture.resolveSibling(name + ".txt"));
      sizes.merge(size.width() + "x" + size.height() + " " + caption, 1, Integer::sum);
    }
    assertThat(sizes)
        .containsOnly(
            Map.entry("32x32 man, hat", 14),
            Map.entry("32x32 man, beach, dog", 7),
            Map.entry("32x24 man, snow, tree", 7),
            Map.entry("32x24 man, red scarf", 7));
    assertThat(plan().missing()).isZero();
    Map<String, String> before = files();
    assertThat(generate(() -> false)).isEmpty();
    assertThat(files()).isEqualTo(before);
  }

  @Test
  void shouldGiveTheSameFilesWhenItWasInterruptedHalfWay() throws IOException {
    tiny.with("num_class_images_per", 2);
    generate(() -> false);
    Map<String, String> whole = files();
    assertThat(whole).hasSize(30);
    for (Path file : pictures()) {
      Files.delete(file);
      Files.delete(Path.of(file.toString().replace(".png", ".txt")));
      Files.delete(Path.of(file.toString().replace(".png", ".json")));
    }
    AtomicInteger looks = new AtomicInteger();
    generate(() -> looks.incrementAndGet() > 10); // in the middle of a batch
    assertThat(pictures()).hasSizeBetween(2, 8);
    assertThat(files()).hasSize(3 * pictures().size());
    assertThat(whole).containsAllEntriesOf(files());
    generate(() -> false);
    assertThat(files()).isEqualTo(whole);
  }

  @Test
  void shouldMakeExactlyOneAgainForOneThatWasDeleted() throws IOException {
    generate(() -> false);
    List<Path> all = pictures();
    Files.delete(all.get(2));
    assertThat(plan().missing()).isEqualTo(1);
    assertThat(generate(() -> false)).endsWith(1);
    assertThat(pictures()).hasSameSizeAs(all).containsAll(all.subList(3, 5));
    assertThat(plan().missing()).isZero();
  }

  @Test
  void shouldUseTheConceptsOwnSamplerAndElseTheRuns() throws IOException {
    tiny.with("scheduler", "ddim").with("class_scheduler", "euler_ancestral");
    generate(() -> false);
    Map<String, String> own = files();
    assertThat(sampler()).isEqualTo("euler_ancestral");
    tiny.without("class_scheduler");
    for (Path file : pictures()) {
      Files.delete(file);
    }
    generate(() -> false);
    assertThat(sampler()).isEqualTo("ddim");
    assertThat(pictures()).noneMatch(file -> own.containsKey(String.valueOf(file.getFileName())));
  }

  private String sampler() throws IOException {
    ClassImageRecord record = ClassImageRecord.beside(pictures().get(0));
    return record == null ? "" : record.sampler();
  }

  @Test
  void shouldMakeNewOnesForAChangedCaption() throws IOException {
    generate(() -> false);
    Files.writeString(tiny.pictures().resolve("p3.txt"), "sks, man, night");
    assertThat(plan().missing()).isEqualTo(1);
    generate(() -> false);
    assertThat(pictures()).hasSize(6);
    assertThat(plan().skipped()).containsEntry("caption and size of no instance picture", 1);
  }

  @Test
  void shouldNotDependOnTheBatchSize() throws IOException {
    tiny.with("num_class_images_per", 2);
    generate(() -> false);
    Map<ClassImageRecord, byte[]> two = drawn();
    for (Path file : pictures()) {
      Files.delete(file);
    }
    tiny.with("sample_batch_size", 3);
    generate(() -> false);
    assertSamePictures(drawn(), two);
  }

  @Test
  void shouldMakeTheFirstAloneAndThenAsManyAsFit() throws IOException {
    tiny.without("sample_batch_size").with("num_class_images_per", 20);
    // Two of the five pictures share caption and size: 40, and 20 of each other.
    assertThat(generate(() -> false))
        .containsExactly(0, 1, 17, 33, 40, 56, 60, 61, 77, 80, 96, 100);
  }

  @Test
  void shouldDrawAsTheBaseModelDoesWhateverIsTrained() throws IOException {
    generate(() -> false);
    Map<ClassImageRecord, byte[]> all = drawn();
    for (Path file : pictures()) {
      Files.delete(file);
    }
    Config config = tiny.with("v_parameterization", true).config();
    ModelFolder base = ModelFolder.open(TinyRun.MODEL, null);
    try (Arena run = Arena.open("run");
        StableDiffusion model = ModelToTrain.load(run, base, config)) {
      assertThat(model.scheduler().values().path("prediction_type").asText())
          .isEqualTo("v_prediction");
      new ClassImageGenerator(config, base, model)
          .generate(run, plan(), (done, missing) -> {}, () -> false);
    }
    assertSamePictures(drawn(), all);
  }

  @Test
  void shouldHalveABatchThatMemoryDoesNotSufficeFor() throws IOException {
    tiny.with("num_class_images_per", 4);
    generate(() -> false);
    Map<ClassImageRecord, byte[]> all = drawn();
    for (Path file : pictures()) {
      Files.delete(file);
    }
    // Four pictures of 32 by 32 fit into 1.2 MB, eight do not.
    tiny.with("sample_batch_size", 8);
    List<Integer> made = generate(TinyRun.MODEL, () -> false, 1_200_000);
    assertThat(made).endsWith(20);
    assertThat(made.get(1)).isEqualTo(4);
    assertSamePictures(drawn(), all);
    Files.delete(pictures().get(0));
    assertThatThrownBy(() -> generate(TinyRun.MODEL, () -> false, 1000))
        .isInstanceOfSatisfying(
            Problem.class, e -> assertThat(e.kind()).isEqualTo(Problem.Kind.MEMORY));
  }

  /** The clock stands still but for what is timed: three reads of it for each batch. */
  @Test
  void shouldForecastTheTimeFromOneBatch() throws IOException {
    tiny.without("sample_batch_size")
        .with("num_class_images_per", 2)
        .with("class_infer_steps", 10)
        .with("scheduler", "ddim");
    long second = 1_000_000_000L;
    Iterator<Long> clock = List.of(0L, 0L, 0L, 100 * second, 108 * second, 112 * second).iterator();
    try (Arena run = Arena.open("run");
        StableDiffusion model = StableDiffusion.load(run, ModelFolder.open(TinyRun.MODEL, null))) {
      long before = run.meter().liveCount();
      Forecast forecast =
          new ClassImageGenerator(tiny.config(), ModelFolder.open(TinyRun.MODEL, null), model)
              .forecast(run, plan(), clock::next);
      assertThat(run.meter().liveCount()).isEqualTo(before);
      assertThat(forecast.speed()).isEqualTo(new Forecast.Speed(new Bucket(32, 32), 4, true, 8, 4));
      // 10 steps of 2 s and 1 s for each: 6 pictures of 32x32 and 4 of 32x24.
      assertThat(forecast.seconds()).isEqualTo(21 * (6 + 4 * 0.75));
    }
    assertThat(tiny.classImages()).doesNotExist();
  }

  /** A class folder whose pictures lost their captions: they are there, yet none counts. */
  @Test
  void shouldMakeOthersWhereTheSamePicturesLieUnderAnotherCaption() throws IOException {
    generate(() -> false);
    for (Path file : pictures()) {
      Files.writeString(Path.of(file.toString().replace(".png", ".txt")), "something else");
    }
    generate(() -> false);
    assertThat(plan().missing()).isZero();
    assertThat(pictures()).hasSize(10);
  }

  @Test
  void shouldGiveUpWhenTheModelDrawsTheSamePictureForEverySeed() throws IOException {
    Path flat = folder.resolve("flat");
    TinyModel.copyWith(flat, "vae", "decoder.conv_out.weight", 0f);
    assertThatThrownBy(() -> generate(flat, () -> false, Long.MAX_VALUE))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("class images of 'man, hat': the last ")
        .hasMessageContaining("were all there already");
  }

  @Test
  void shouldWriteNoPictureOfNumbersThatAreNotFinite() throws IOException {
    Path bad = folder.resolve("bad");
    TinyModel.copyWith(bad, "unet", "conv_in.bias", Float.NaN);
    assertThatThrownBy(() -> generate(bad, () -> false, Long.MAX_VALUE))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("first bad tensor: the weight conv_in.bias[8] of the unet");
    assertThat(tiny.classImages()).doesNotExist();
  }
}
