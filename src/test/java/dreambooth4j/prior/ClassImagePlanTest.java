package dreambooth4j.prior;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.tuple;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.Concept;
import dreambooth4j.data.TestPictures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClassImagePlanTest {
  @TempDir Path folder;
  private final Map<String, String> flags = new HashMap<>();

  @BeforeEach
  void pictures() throws IOException {
    Path instances = folder.resolve("instances");
    TestPictures.write(instances, "1", 64, 64, "sks, man, hat");
    TestPictures.write(instances, "2", 90, 60, "sks, man, hat");
    TestPictures.write(instances, "3", 128, 128, "sks, hat");
    TestPictures.write(instances, "4", 64, 64, "sunset");
    flags.put("instance_data_dir", instances.toString());
    flags.put("class_data_dir", folder.resolve("class").toString());
    flags.put("output_dir", folder.resolve("out").toString());
    flags.put("instance_token", "sks");
    flags.put("class_token", "man");
    flags.put("num_class_images_per", "2");
    flags.put("resolution", "64");
  }

  private ClassImagePlan plan() {
    Config config = ConfigReader.read(null, flags).config();
    return ClassImagePlan.of(config, Concept.scanAll(config));
  }

  private void classImage(String name, int width, int height, String caption) throws IOException {
    TestPictures.write(folder.resolve("class"), name, width, height, caption);
  }

  @Test
  void shouldNeedNForEachPictureOfACaptionInABucket() {
    assertThat(plan().needs())
        .extracting(n -> n.pool().bucket().toString(), n -> n.pool().caption(), n -> n.needed())
        .containsExactly(
            tuple("64x64", "man, hat", 4),
            tuple("72x48", "man, hat", 2),
            tuple("64x64", "man, sunset", 2));
    assertThat(plan().missing()).isEqualTo(8);
    assertThat(plan().present()).isZero();
    assertThat(plan().pools())
        .hasSize(3)
        .allSatisfy((pool, images) -> assertThat(images).isEmpty());
  }

  @Test
  void shouldCountWhatIsThereByCaptionAndSize() throws IOException {
    classImage("a", 64, 64, "man, hat");
    classImage("b", 72, 48, "man, hat");
    classImage("c", 72, 48, ", man, hat"); // as the extension writes it
    classImage("d", 720, 480, "man, hat"); // larger ones are scaled down
    classImage("e", 64, 64, "man, beach");
    classImage("f", 48, 72, "man, hat");
    classImage("g", 32, 32, "man, hat");
    classImage("h", 64, 64, "x");
    Files.delete(folder.resolve("class/h.txt"));
    ClassImagePlan plan = plan();
    assertThat(plan.needs())
        .extracting(n -> n.present().size(), ClassImagePlan.Need::missing)
        .containsExactly(tuple(1, 3), tuple(3, 0), tuple(0, 2));
    assertThat(plan.skipped())
        .containsEntry("caption and size of no instance picture", 2)
        .containsEntry("smaller than its bucket", 1)
        .containsEntry("no caption file", 1);
    assertThat(plan.pools().values().iterator().next())
        .containsExactly(new ClassImage(folder.resolve("class/a.png"), "man, hat", 1));
  }

  @Test
  void shouldCountUncaptionedPicturesForAFixedClassPrompt() throws IOException {
    flags.put("class_prompt", "a photo of man");
    flags.remove("num_class_images_per");
    flags.put("num_class_images", "10");
    classImage("0-abc", 64, 64, "x");
    Files.delete(folder.resolve("class/0-abc.txt"));
    ClassImagePlan plan = plan();
    assertThat(plan.needs())
        .extracting(n -> n.pool().bucket().toString(), n -> n.needed(), n -> n.missing())
        .containsExactly(tuple("64x64", 9, 8), tuple("72x48", 3, 3));
  }

  @Test
  void shouldUseAFolderWholeWithTheCaptionsOfItsOwn() throws IOException {
    flags.put("disable_class_matching", "true");
    assertThatExceptionOfType(Problem.class).isThrownBy(this::plan).withMessageContaining("class");
    classImage("a", 512, 512, "a woman in a coat");
    classImage("b", 30, 20, "sks, man, hat");
    classImage("5_sks man/c", 20, 90, "");
    Files.delete(folder.resolve("class/5_sks man/c.txt"));
    classImage("d", 64, 64, "x");
    Files.delete(folder.resolve("class/d.txt"));
    ClassImagePlan plan = plan();
    assertThat(plan.missing()).isZero();
    assertThat(plan.needs())
        .extracting(n -> n.pool().bucket().toString(), n -> n.pool().caption(), n -> n.needed())
        .containsExactly(tuple("64x64", "", 0), tuple("72x48", "", 0));
    assertThat(plan.needs().get(0).present())
        .extracting(ClassImage::prompt, ClassImage::repeats)
        .containsExactly(tuple("man", 5), tuple("man, a woman in a coat", 1), tuple("man", 1));
    assertThat(plan.needs().get(1).present())
        .extracting(ClassImage::prompt)
        .containsExactly("man, hat");
    assertThat(plan.skipped()).isEmpty();
    Config config = ConfigReader.read(null, flags).config();
    assertThat(Concept.scanAll(config).get(0).pictures().get(0).pool())
        .isEqualTo(plan.needs().get(0).pool());
  }

  @Test
  void shouldTakeTheClassPromptForAFolderUsedWhole() throws IOException {
    flags.put("disable_class_matching", "true");
    flags.put("class_prompt", "photo of a man, [filewords]");
    classImage("a", 64, 64, "hat");
    assertThat(plan().needs().get(0).present())
        .extracting(ClassImage::prompt)
        .containsExactly("photo of a man, hat");
    flags.put("class_prompt", "a photo of a man");
    assertThat(plan().needs().get(0).present())
        .extracting(ClassImage::prompt)
        .containsExactly("a photo of a man");
  }

  @Test
  void shouldAcceptARegularisationSetLaidOutForKohya() throws IOException {
    flags.put("class_prompt", "man");
    classImage("1_man/a", 64, 64, "x");
    classImage("1_man/b", 90, 60, "x");
    Files.delete(folder.resolve("class/1_man/a.txt"));
    Files.delete(folder.resolve("class/1_man/b.txt"));
    ClassImagePlan plan = plan();
    assertThat(plan.present()).isEqualTo(2);
    assertThat(plan.skipped()).isEmpty();
    assertThat(plan.needs())
        .extracting(n -> n.pool().caption(), n -> n.present().size())
        .containsExactly(tuple("man", 1), tuple("man", 1));
  }

  @Test
  void shouldNeedClassImagesForEveryLineThatMayBeDrawn() throws IOException {
    TestPictures.write(folder.resolve("instances"), "2", 64, 64, "sks, man, hat\nsks at sea\n");
    flags.put("multiline_captions", "drawn");
    assertThat(plan().needs())
        .extracting(n -> n.pool().caption(), n -> n.needed())
        .containsExactly(tuple("man, hat", 6), tuple("man at sea", 2), tuple("man, sunset", 2));
  }

  @Test
  void shouldNeedNothingWithoutPriorPreservation() {
    flags.put("with_prior_preservation", "false");
    assertThat(plan().needs()).isEmpty();
    flags.put("with_prior_preservation", "true");
    flags.put("num_class_images_per", "0");
    assertThat(plan().needs()).isEmpty();
  }

  @Test
  void shouldKeepClassImagesBesideTheOutputByDefault() {
    flags.remove("class_data_dir");
    assertThat(plan().needs().get(0).concept().classImages().dataDir())
        .isEqualTo(folder.resolve("out/class_images/sks"));
  }
}
