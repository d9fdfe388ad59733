package dreambooth4j.review;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.Concept;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.ImageSize;
import dreambooth4j.data.TestPictures;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReviewTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @SuppressWarnings("NullAway.Init")
  private Review review;

  private Path classFolder = Path.of("");

  /** Five pictures, of which the first and the third share a pool; one class image for each. */
  @BeforeEach
  void paint() throws IOException {
    tiny = new TinyRun(folder).withPaintedClassImages();
    classFolder = folder.resolve("class");
    review = open();
  }

  private Review open() {
    Config config = tiny.config();
    List<Concept> concepts = Concept.scanAll(config);
    return new Review(config, concepts, ClassImagePlan.of(config, concepts));
  }

  private ReviewRow row(int index) {
    return review.rows(index, 1).get(0);
  }

  private static Path image(ReviewRow row, int place) {
    return Objects.requireNonNull(row.places().get(place).image()).file();
  }

  private String id(int row) {
    return review.id(image(row(row), 0));
  }

  private Review.Summary summary() {
    return review.changes(0).summary();
  }

  private ClassImagePlan plan() {
    return ClassImagePlan.of(tiny.config(), Concept.scanAll(tiny.config()));
  }

  @Test
  void shouldShowEachClassImageOnceBesideAPictureOfItsPool() {
    List<ReviewRow> rows = review.rows(0, 10);
    assertThat(rows).hasSize(5);
    assertThat(rows.stream().map(row -> row.picture().classCaption()))
        .containsExactly(
            "man, hat", "man, beach, dog", "man, hat", "man, snow, tree", "man, red scarf");
    assertThat(rows.stream().map(row -> image(row, 0).getFileName().toString()))
        .containsExactly("c0.png", "c1.png", "c2.png", "c3.png", "c4.png");
    assertThat(rows.stream().map(ReviewRow::sharing)).containsExactly(2, 1, 2, 1, 1);
    assertThat(review.rows(3, 10)).isEqualTo(rows.subList(3, 5));
  }

  @Test
  void shouldMoveADeletedImageOutOfTheWayAndBack() throws IOException {
    Files.writeString(classFolder.resolve("c1.json"), "{}");
    long before = review.changes(0).version();
    assertThat(review.delete(id(1)).said()).isEqualTo("deleted");
    assertThat(classFolder.resolve("c1.png")).doesNotExist();
    assertThat(classFolder.resolve("c1.txt")).doesNotExist();
    assertThat(classFolder.resolve(".review/deleted")).isDirectoryContaining("glob:**/c1.*");
    assertThat(plan().present()).isEqualTo(4);
    assertThat(plan().skipped()).isEmpty();
    assertThat(review.changes(before).rows()).containsExactly(row(1));
    assertThat(row(1).missing()).isEqualTo(1);
    assertThat(summary().missing()).isEqualTo(1);

    assertThat(review.undo().row()).isEqualTo(row(1).id());
    assertThat(classFolder.resolve("c1.txt")).hasContent("man, beach, dog");
    assertThat(classFolder.resolve("c1.json")).exists();
    assertThat(plan().present()).isEqualTo(5);
    assertThat(row(1).missing()).isZero();
    assertThat(review.undo().said()).isEqualTo("there is nothing to undo");
  }

  @Test
  void shouldLeaveTheCaptionOfAnotherPictureOfThatName() throws IOException {
    Path other = TestPictures.paint(folder, "c1", 32, 32, "x", 9);
    Files.copy(other, classFolder.resolve("c1.webp"));
    review.delete(id(1));
    assertThat(classFolder.resolve("c1.txt")).exists();
  }

  @Test
  void shouldSayThatAnImageWasGoneAlready() throws IOException {
    String image = id(1);
    Files.delete(classFolder.resolve("c1.png"));
    assertThat(review.delete(image).said()).isEqualTo("this class image was deleted before");
    assertThat(review.delete(image).said()).isEqualTo("this class image was deleted before");
    assertThat(row(1).missing()).isEqualTo(1);
    assertThat(review.undo().said()).isEqualTo("there is nothing to undo");
    assertThatExceptionOfType(Problem.class).isThrownBy(() -> review.delete("4711"));
  }

  @Test
  void shouldLeaveNoHoleWhereMoreImagesLieThanAreNeeded() throws IOException {
    TestPictures.paint(classFolder, "extra", 32, 32, "man, beach, dog", 77);
    review = open();
    assertThat(row(1).places()).hasSize(2);
    review.delete(id(1));
    assertThat(row(1).places()).hasSize(1);
    assertThat(row(1).missing()).isZero();
    review.undo();
    assertThat(row(1).places()).hasSize(2);
  }

  @Test
  void shouldRememberWhatWasKept() {
    review.keep(id(0), true);
    review.keepAll(row(3).id(), true);
    assertThat(summary().kept()).isEqualTo(2);
    review = open();
    assertThat(summary().kept()).isEqualTo(2);
    assertThat(row(3).places().get(0).kept()).isTrue();
    review.keep(id(3), false);
    assertThat(open().changes(0).summary().kept()).isEqualTo(1);
    review.undo();
    assertThat(open().changes(0).summary().kept()).isEqualTo(2);
  }

  @Test
  void shouldLeaveTheMarksOfAnotherReviewOfTheFolder() {
    Review other = open();
    review.keep(id(0), true);
    other.keepAll(other.rows(1, 1).get(0).id(), true);
    assertThat(open().changes(0).summary().kept()).isEqualTo(2);
    review.keep(id(0), false);
    assertThat(open().changes(0).summary().kept()).isEqualTo(1);
    review.rescan();
    assertThat(row(1).places().get(0).kept()).isTrue();
  }

  @Test
  void shouldRefuseADamagedFileOfMarks() throws IOException {
    Files.createDirectories(classFolder.resolve(".review"));
    Files.writeString(classFolder.resolve(".review/kept.json"), "{]");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(this::open)
        .withMessageContaining("kept.json is damaged: delete it");
  }

  @Test
  void shouldWriteACaptionAndSayWhichImagesNoLongerCount() {
    Path text = tiny.pictures().resolve("p1.txt");
    Done done =
        review.caption(row(1).id(), "sks, man, beach, dog", " sks, man, \"<b>sea</b>\" \r\n");
    assertThat(text).hasContent("sks, man, \"<b>sea</b>\"");
    assertThat(done.said())
        .isEqualTo(
            "caption saved; the class image of 'man, beach, dog' no longer counts, but stays in the"
                + " folder");
    assertThat(row(1).picture().classCaption()).isEqualTo("man, \"<b>sea</b>\"");
    assertThat(row(1).missing()).isEqualTo(1);
    review.undo();
    assertThat(text).hasContent("sks, man, beach, dog");
    assertThat(row(1).missing()).isZero();
  }

  @Test
  void shouldWriteATextFileWhereTheNameWasTheCaption() throws IOException {
    Path text = tiny.pictures().resolve("p1.txt");
    Files.delete(text);
    review = open();
    assertThat(row(1).caption()).isEqualTo("p1");
    review.caption(row(1).id(), "p1", "sks, man, beach, dog");
    assertThat(text).hasContent("sks, man, beach, dog");
    assertThat(row(1).missing()).isZero();
    review.undo();
    assertThat(text).doesNotExist();
  }

  @Test
  void shouldRefuseCaptionsThatAreNoneAndThoseThatSomebodyElseChanged() throws IOException {
    Path text = tiny.pictures().resolve("p1.txt");
    String id = row(1).id();
    String now = "sks, man, beach, dog";
    for (String bad :
        List.of("", " , ,", "a\u0000b", "half \ud83d", "x".repeat(CaptionFile.LONGEST + 1))) {
      assertThatExceptionOfType(Problem.class).isThrownBy(() -> review.caption(id, now, bad));
    }
    assertThat(text).hasContent(now);
    Files.writeString(text, "sks, man, moon");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> review.caption(id, now, "sks, man, sun"))
        .withMessageContaining("changed this caption in the meantime");
    assertThat(text).hasContent("sks, man, moon");
    assertThat(row(1).caption()).isEqualTo("sks, man, moon");
  }

  @Test
  void shouldKeepTheOtherLinesOfACaptionFileInSight() throws IOException {
    tiny.with("multiline_captions", "drawn");
    Files.writeString(tiny.pictures().resolve("p1.txt"), "sks, man, one\nsks, man, two\n");
    review = open();
    assertThat(review.rows(0, 10)).hasSize(6);
    assertThat(row(1).caption()).isEqualTo("sks, man, one\nsks, man, two");
    long before = review.changes(0).version();
    review.caption(row(1).id(), "sks, man, one\nsks, man, two", "sks, man, one");
    assertThat(review.changes(before).reordered()).isTrue();
    assertThat(review.rows(0, 10)).hasSize(5);
  }

  /** A browser ends lines as Unix does. */
  @Test
  void shouldWriteACaptionWhoseLinesEndedAsOnWindows() throws IOException {
    Path text = tiny.pictures().resolve("p1.txt");
    Files.writeString(text, "sks, man,\r\nbeach, dog\r\n");
    review = open();
    assertThat(row(1).caption()).isEqualTo("sks, man,\nbeach, dog");
    review.caption(row(1).id(), "sks, man,\nbeach, dog", "sks, man,\nbeach, cat");
    assertThat(Files.readString(text)).isEqualTo("sks, man,\nbeach, cat");
    review.undo();
    assertThat(Files.readString(text)).isEqualTo("sks, man,\r\nbeach, dog\r\n");
  }

  @Test
  void shouldNotUndoACaptionThatSomebodyElseChangedSince() throws IOException {
    Path text = tiny.pictures().resolve("p1.txt");
    review.caption(row(1).id(), "sks, man, beach, dog", "sks, man, sea");
    Files.writeString(text, "sks, man, moon");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> review.undo())
        .withMessageContaining("the change cannot be undone");
    assertThat(text).hasContent("sks, man, moon");
    assertThat(row(1).caption()).isEqualTo("sks, man, moon");
    assertThat(review.undo().said()).isEqualTo("there is nothing to undo");
  }

  @Test
  void shouldMakeNothingWhereAFolderIsUsedWhole() {
    tiny.with("disable_class_matching", "true");
    review = open();
    String image =
        review.rows(0, 10).stream()
            .flatMap(row -> row.places().stream())
            .map(place -> review.id(Objects.requireNonNull(place.image()).file()))
            .findFirst()
            .orElseThrow();
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> review.again(image))
        .withMessageContaining("disable_class_matching: true");
  }

  private void waitUntilMade() throws InterruptedException {
    while (summary().waiting() > 0) {
      Thread.sleep(20);
    }
  }

  @Test
  void shouldMakeOthersThanThoseThatWereDeleted() throws Exception {
    tiny.without("class_data_dir").with("num_class_images_per", 2);
    classFolder = tiny.classImages();
    review = open();
    try (ReviewMaker maker = new ReviewMaker(tiny.config(), review)) {
      assertThat(maker).isNotNull();
      review.makeAll();
      assertThat(summary().waiting()).isPositive();
      waitUntilMade();
      assertThat(review.changes(0).problem()).isNull();
      assertThat(plan().missing()).isZero();
      assertThat(summary().images()).isEqualTo(10);

      // Its seed is the next that a run would draw: without care the same picture would come back.
      Path last = image(row(1), 1);
      review.delete(review.id(last));
      review.make(row(1).id());
      waitUntilMade();
      Path other = image(row(1), 1);
      assertThat(other).isNotEqualTo(last);
      assertThat(last).doesNotExist();

      review.keep(review.id(other), true);
      review.again(review.id(other));
      waitUntilMade();
      Path third = image(row(1), 1);
      assertThat(third).isNotIn(last, other);
      assertThat(other).doesNotExist();
      assertThat(ImageReader.size(third)).isEqualTo(new ImageSize(32, 32));
      assertThat(row(1).places().get(1).kept()).isFalse();
      assertThat(plan().missing()).isZero();

      review.undo();
      assertThat(third).doesNotExist();
      assertThat(image(row(1), 1)).isEqualTo(other);
      assertThat(row(1).places().get(1).kept()).isTrue();
    }
  }

  /** Orders are shown where they were given, whatever becomes of the places beside them. */
  @Test
  void shouldShowAnOrderAtThePlaceThatItWasGivenFor() throws Exception {
    tiny.with("num_class_images_per", 2);
    review = open();
    review.make(row(1).id());
    review.delete(id(1));
    assertThat(row(1).places().stream().map(ReviewRow.Place::making))
        .containsExactly(ReviewRow.Making.NOT, ReviewRow.Making.WAITS);
    assertThat(review.take()).isNotNull();
    assertThat(row(1).places().stream().map(ReviewRow.Place::making))
        .containsExactly(ReviewRow.Making.NOT, ReviewRow.Making.UNDER_WAY);
    review.rescan();
    review.ended(null);
    assertThat(row(1).places()).containsExactly(ReviewRow.Place.EMPTY, ReviewRow.Place.EMPTY);
  }

  @Test
  void shouldShowAnImageOnceWhoseFolderIsLookedThroughBeforeItIsReported() throws Exception {
    tiny.with("num_class_images_per", 3);
    review = open();
    review.make(row(1).id());
    assertThat(review.take()).isNotNull();
    ClassImage first = paint("n1", 201);
    review.rescan();
    review.made(first);
    assertThat(row(1).places().stream().map(ReviewRow.Place::making))
        .containsExactly(ReviewRow.Making.NOT, ReviewRow.Making.NOT, ReviewRow.Making.UNDER_WAY);
    assertThat(image(row(1), 1)).isEqualTo(first.file());
    review.made(paint("n2", 202));
    review.ended(null);
    assertThat(row(1).places()).hasSize(3);
    assertThat(row(1).missing()).isZero();

    review.again(review.id(first.file()));
    assertThat(review.take()).isNotNull();
    ClassImage other = paint("m", 203);
    review.rescan();
    review.made(other);
    review.ended(null);
    assertThat(first.file()).doesNotExist();
    assertThat(row(1).places().stream().map(place -> String.valueOf(place.image())))
        .hasSize(3)
        .doesNotHaveDuplicates();
    assertThat(row(1).indexOf(other.file())).isNotNegative();
  }

  @Test
  void shouldHaveAsManyImagesAsBeforeWhenADeletionIsUndoneWhosePlaceWasFilled() throws Exception {
    Path first = image(row(1), 0);
    review.delete(id(1));
    review.make(row(1).id());
    assertThat(review.take()).isNotNull();
    ClassImage fresh = paint("n1", 201);
    review.made(fresh);
    review.ended(null);
    assertThat(summary().images()).isEqualTo(5);
    assertThat(review.undo().said()).isEqualTo("undone: the deleted class image is restored");
    assertThat(summary().images()).isEqualTo(5);
    assertThat(row(1).places()).hasSize(1);
    assertThat(image(row(1), 0)).isEqualTo(first);
    assertThat(fresh.file()).doesNotExist();
    assertThat(classFolder.resolve(".review/deleted/n1.png")).exists();
    assertThat(plan().present()).isEqualTo(5);
  }

  @Test
  void shouldMakeNoMoreThanNeededWhenADeletionIsUndoneWhileItsPlaceIsFilled() throws Exception {
    review.delete(id(1));
    review.make(row(1).id());
    review.undo();
    assertThat(summary().waiting()).isZero();
    assertThat(row(1).places()).hasSize(1);

    review.delete(id(1));
    review.make(row(1).id());
    assertThat(review.take()).isNotNull();
    review.undo();
    review.made(paint("n1", 201));
    review.ended(null);
    assertThat(row(1).places()).hasSize(1);
    assertThat(summary().images()).isEqualTo(5);
    assertThat(plan().present()).isEqualTo(5);
  }

  private ClassImage paint(String name, int seed) throws IOException {
    String caption = "man, beach, dog";
    Path file = TestPictures.paint(classFolder, name, 32, 32, caption, seed);
    return new ClassImage(file, caption, 1);
  }

  @Test
  void shouldGiveUpWhatIsOrdered() throws Exception {
    tiny.without("class_data_dir").with("num_class_images_per", 500);
    review = open();
    try (ReviewMaker maker = new ReviewMaker(tiny.config(), review)) {
      assertThat(maker).isNotNull();
      review.makeAll();
      while (summary().images() == 0) {
        Thread.sleep(5);
      }
      review.cancel();
      waitUntilMade();
      assertThat(summary().missing()).isPositive();
      assertThat(plan().present()).isEqualTo(summary().images());
    }
  }

  @Test
  void shouldSayWhyNothingIsMade() throws Exception {
    Files.delete(classFolder.resolve("c1.png"));
    tiny.with("pretrained_model_name_or_path", folder.resolve("nowhere"));
    review = open();
    try (ReviewMaker maker = new ReviewMaker(tiny.config(), review)) {
      assertThat(maker).isNotNull();
      long before = review.changes(0).version();
      review.make(row(1).id());
      waitUntilMade();
      assertThat(review.changes(before).problem()).contains("class images cannot be made: ");
      assertThat(review.changes(before + 1000).problem()).isNull();
      assertThat(row(1).places().get(0).making()).isEqualTo(ReviewRow.Making.NOT);
    }
  }
}
