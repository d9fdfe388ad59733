package dreambooth4j.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.data.Concept;
import dreambooth4j.data.ImageReader;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.VisionFolder;
import dreambooth4j.train.TinyModel;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.ModelFolder;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Planted cases, whose score is known. */
class BleedTest {
  private static final Path CLIP = Path.of("src/test/resources/dreambooth4j/model/vision/clip");

  @TempDir private Path folder;

  private static final Subject.Extent EXTENT = new Subject.Extent(2, 2, 2);

  private BleedResult measured(ModelSource trained, int pictures) throws IOException {
    return measured(trained, pictures, EnumSet.allOf(Probe.Kind.class));
  }

  private BleedResult measured(ModelSource trained, int pictures, Set<Probe.Kind> of)
      throws IOException {
    Concept concept = Concept.scanAll(new TinyRun(folder).config()).get(0);
    Subject subject = Subject.of(concept, List.of("a blue bird"));
    BleedOptions how =
        new BleedOptions(1, 3, 2, pictures, of, 2, 3, VisionFolder.open(CLIP), null, Device.CPU);
    ModelSource base = ModelFolder.open(TinyRun.MODEL, null);
    List<Integer> told = new ArrayList<>();
    BleedResult result =
        new Bleed(base, trained, TextEncoding.USUAL, how, told::add)
            .measure(
                model -> subject.probes(model, EXTENT),
                size ->
                    concept.pictures().stream()
                        .map(each -> ImageReader.read(each.file(), size))
                        .toList());
    assertThat(told).hasSize(Bleed.asked(result.rows().size(), how));
    return result;
  }

  @Test
  void shouldFindNothingInAModelThatWasNotTrained() throws IOException {
    BleedResult result = measured(ModelFolder.open(TinyRun.MODEL, null), 2);

    assertThat(result.rows())
        .extracting(row -> row.probe().kind())
        .startsWith(Probe.Kind.SUBJECT)
        .contains(Probe.Kind.CLASS, Probe.Kind.ASKED, Probe.Kind.FREQUENT, Probe.Kind.RARE)
        .contains(Probe.Kind.NEIGHBOUR, Probe.Kind.CONTROL);
    Interval nothing = new Interval(0, 0, 0);
    for (BleedResult.Row row : result.rows()) {
      assertThat(List.of(row.bleed(), row.towards(), row.moved(), row.change()))
          .as(row.probe().prompt())
          .containsOnly(nothing);
      BleedResult.Drawn drawn = Objects.requireNonNull(row.pictures());
      assertThat(drawn.towards()).isEqualTo(nothing);
      assertThat(Objects.requireNonNull(drawn.seen()).towards()).isEqualTo(nothing);
      assertThat(drawn.variety()).isEqualTo(drawn.varietyBefore()).isPositive();
      assertThat(drawn.base().get(1).rgb()).isEqualTo(drawn.trained().get(1).rgb());
    }
    BleedResult.Presence presence = Objects.requireNonNull(result.presence());
    assertThat(presence.after()).isEqualTo(presence.before()).isBetween(-1.0, 1.0);
  }

  @Test
  void shouldFindTheSubjectInAModelThatAnswersEverythingWithIt() throws IOException {
    Path deaf = folder.resolve("deaf");
    TinyModel.copyDeaf(deaf);

    BleedResult result = measured(ModelFolder.open(deaf, null), 2);

    Interval one = new Interval(1, 1, 1);
    for (BleedResult.Row row : result.rows()) {
      String prompt = row.probe().prompt();
      assertThat(row.bleed()).as(prompt).isEqualTo(one);
      assertThat(row.towards()).as(prompt).isEqualTo(one);
      assertThat(row.change().value()).as(prompt).isPositive();
      BleedResult.Drawn drawn = Objects.requireNonNull(row.pictures());
      assertThat(drawn.towards().value()).as(prompt).isCloseTo(1, within(1e-9));
      assertThat(Objects.requireNonNull(drawn.seen()).towards().value())
          .as(prompt)
          .isCloseTo(1, within(1e-9));
      assertThat(drawn.trained().get(0).rgb())
          .isEqualTo(
              Objects.requireNonNull(result.rows().get(0).pictures()).trained().get(0).rgb());
    }
    assertThat(result.mean(Probe.Kind.CONTROL)).isEqualTo(1);
  }

  @Test
  void shouldAskTheWordsOfTheCaptionsByHowOftenTheyStandThere() throws IOException {
    List<BleedResult.Row> rows = measured(ModelFolder.open(TinyRun.MODEL, null), 0).rows();

    assertThat(rows)
        .extracting(BleedResult.Row::probe)
        .contains(
            new Probe(Probe.Kind.SUBJECT, "sks, man", 5),
            new Probe(Probe.Kind.CLASS, "man", 5),
            new Probe(Probe.Kind.FREQUENT, "hat", 2),
            new Probe(Probe.Kind.RARE, "beach", 1),
            new Probe(Probe.Kind.ASKED, "a blue bird", 0))
        .extracting(Probe::prompt)
        .doesNotHaveDuplicates()
        .hasSize(10);
    assertThat(rows).allMatch(row -> row.pictures() == null);
  }

  /** Most of the time goes into pictures. */
  @Test
  void shouldDrawOnlyTheKindsThatAreAskedFor() throws IOException {
    ModelSource model = ModelFolder.open(TinyRun.MODEL, null);
    BleedResult all = measured(model, 2);
    BleedResult some = measured(model, 2, Set.of(Probe.Kind.CLASS));

    assertThat(some.rows())
        .filteredOn(row -> row.pictures() != null)
        .extracting(row -> row.probe().kind())
        .containsExactlyInAnyOrder(Probe.Kind.SUBJECT, Probe.Kind.CLASS);
    assertThat(some.presence()).as("drawn at the same seeds").isEqualTo(all.presence());
    assertThat(measured(model, 2, Set.of(Probe.Kind.ASKED)).presence())
        .as("of the class, which is not drawn")
        .isNull();
  }

  /** What is held in Java is planned beside what a model and its tensors take. */
  @Test
  void shouldPlanTheMemoryThatItTakes() {
    ModelSource base = ModelFolder.open(TinyRun.MODEL, null);
    BleedOptions how = new BleedOptions(1, 3, 2, 0, Set.of(), 2, 3, null, null, Device.CPU);
    Bleed bleed = new Bleed(base, base, TextEncoding.USUAL, how, done -> {});
    long taken;
    try (Arena arena = Arena.open("bleed");
        StableDiffusion model = StableDiffusion.load(arena, base)) {
      arena.meter().resetPeak();
      new Asked(arena, model, TextEncoding.USUAL, how).path("man");
      taken = arena.meter().peakBytes();
    }
    assertThat(bleed.memory(0)).isBetween(taken, taken + taken / 20);
    assertThat(bleed.memory(10)).isGreaterThan(bleed.memory(0));
    assertThat(bleed.lackOfRoom(bleed.memory(10))).isNull();
    assertThat(bleed.lackOfRoom(1L << 60)).contains("of memory by a plan", "are available");
  }

  /** The peak is the larger model's, of the two that are never in memory together. */
  @Test
  void shouldPlanTheMemoryOfTheModelOfFeatures() throws IOException {
    for (String name : List.of("config.json", "model.safetensors")) {
      Files.copy(CLIP.resolveSibling("dinov2").resolve(name), folder.resolve(name));
    }
    Files.writeString(
        folder.resolve("preprocessor_config.json"),
        """
        {"size": 512, "crop_size": 512, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
        """);
    VisionFolder large = VisionFolder.open(folder);
    long needed = large.memory(Device.CPU);
    assertThat(planned(VisionFolder.open(CLIP), 1)).isEqualTo(planned(null, 1)).isLessThan(needed);
    assertThat(planned(large, 1)).isEqualTo(needed);
    assertThat(planned(large, 0)).as("nothing to look at").isEqualTo(planned(null, 0));
  }

  private static long planned(@Nullable VisionFolder features, int pictures) {
    ModelSource base = ModelFolder.open(TinyRun.MODEL, null);
    BleedOptions how =
        new BleedOptions(1, 3, 2, pictures, Set.of(), 2, 3, features, null, Device.CPU);
    return new Bleed(base, base, TextEncoding.USUAL, how, done -> {}).memory(0);
  }

  /** Frequent words apart from rare ones, and what tells most first. */
  @Test
  void shouldSortRowsKindByKindAndByHowFarTheyMovedTowardsTheSubject() {
    BleedResult.Row subject = row(Probe.Kind.SUBJECT, "sks", 1, 1);
    BleedResult.Row little = row(Probe.Kind.FREQUENT, "hat", 9, 0.2);
    BleedResult.Row much = row(Probe.Kind.FREQUENT, "coat", 0.5, 0.4);
    BleedResult.Row rare = row(Probe.Kind.RARE, "beach", 2, 0.9);
    assertThat(new BleedResult(List.of(rare, little, much, subject), 1, List.of(), null).rows())
        .containsExactly(subject, much, little, rare);
  }

  private static BleedResult.Row row(Probe.Kind kind, String prompt, double bleed, double towards) {
    Interval measured = new Interval(bleed, bleed, bleed);
    return new BleedResult.Row(
        new Probe(kind, prompt, 0),
        measured,
        new Interval(towards, towards, towards),
        measured,
        measured,
        null);
  }

  @Test
  void shouldRefuseModelsThatPredictDifferentThings() throws IOException {
    Path other = folder.resolve("other");
    TinyModel.copy(other);
    Path scheduler = other.resolve("scheduler/scheduler_config.json");
    String text = Files.readString(scheduler);
    Files.writeString(
        scheduler,
        text.contains("prediction_type")
            ? text.replace("\"epsilon\"", "\"v_prediction\"")
            : text.replaceFirst("\\{", "{\"prediction_type\": \"v_prediction\","));
    assertThatThrownBy(() -> measured(ModelFolder.open(other, null), 0))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("cannot be compared");
  }
}
