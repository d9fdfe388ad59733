package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.Crop;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConceptTest {
  @TempDir Path folder;

  private Concept scan(String... flags) {
    Map<String, String> all = new HashMap<>();
    all.put("instance_data_dir", folder.toString());
    all.put("resolution", "64");
    for (int i = 0; i < flags.length; i += 2) {
      all.put(flags[i], flags[i + 1]);
    }
    return Concept.scanAll(ConfigReader.read(null, all).config()).get(0);
  }

  private String problem(String... flags) {
    return String.valueOf(catchThrowableOfType(Problem.class, () -> scan(flags)).getMessage());
  }

  @Test
  void shouldListPicturesByNameWithTheirPromptsAndBuckets() throws IOException {
    TestPictures.write(folder, "b", 90, 60, "a man in a hat");
    TestPictures.write(folder, "a", 64, 64, "sks, man, smiling");
    Concept concept = scan("instance_token", "sks", "class_token", "man");
    assertThat(concept.pictures())
        .containsExactly(
            new Picture(
                folder.resolve("a.png"),
                0,
                new Bucket(64, 64),
                "sks, man, smiling",
                "man, smiling"),
            new Picture(
                folder.resolve("b.png"), 0, new Bucket(72, 48), "sks in a hat", "a man in a hat"));
  }

  @Test
  void shouldAskForAClassWhereTheCaptionIsTheSubjectAlone() throws IOException {
    TestPictures.write(folder, "a", 64, 64, "sks, hat");
    String[] flags = {"instance_token", "sks", "class_prompt", "[filewords]"};
    assertThat(scan(flags).pictures()).extracting(Picture::classCaption).containsExactly("hat");
    TestPictures.write(folder, "a", 64, 64, "sks");
    assertThat(problem(flags)).contains("a.png has a class caption that is empty", "class_token");
  }

  @Test
  void shouldTrainPicturesThatACameraNamedWithTheTokensAloneAndSaySoOnce() throws IOException {
    for (String name : List.of("00", "20240101_120000", "IMG_2041", "photo (1)")) {
      Files.deleteIfExists(
          TestPictures.write(folder, name, 64, 64, "x").resolveSibling(name + ".txt"));
    }
    TestPictures.write(folder, "z", 64, 64, "sks cat on a sofa");
    Concept concept = scan("instance_token", "sks", "class_token", "cat");
    assertThat(concept.pictures())
        .extracting(Picture::instancePrompt)
        .containsExactly("sks cat", "sks cat", "sks cat", "sks cat", "sks cat on a sofa");
    assertThat(concept.pictures()).extracting(Picture::classCaption).startsWith("cat", "cat");
    assertThat(concept.notes())
        .singleElement()
        .asString()
        .startsWith("4 of 5 pictures in " + folder + " have no caption")
        .contains("as 'sks cat'", "00.txt");
    assertThat(scan("instance_prompt", "a photo of sks cat").notes()).isEmpty();
  }

  @Test
  void shouldCountWhatItSkipsByReason() throws IOException {
    TestPictures.write(folder, "a", 64, 64, "x");
    for (String name : List.of(".hidden.png", ".DS_Store", "Thumbs.db", "README", "alone.txt")) {
      Files.createFile(folder.resolve(name));
    }
    for (String name : List.of(".ipynb_checkpoints", "__MACOSX", "sub/@eaDir", ".thumbnails")) {
      TestPictures.write(folder.resolve(name), "x", 64, 64, "x");
    }
    Files.copy(folder.resolve("a.png"), folder.resolve("sub/copy.png"));
    Files.writeString(folder.resolve("sub/copy.txt"), "y");
    Files.createSymbolicLink(folder.resolve("loop"), folder);
    Files.createSymbolicLink(folder.resolve("nowhere.png"), folder.resolve("gone"));
    Concept concept = scan();
    assertThat(concept.pictures())
        .extracting(Picture::file)
        .containsExactly(folder.resolve("a.png"));
    assertThat(concept.folder().skippedInWords())
        .isEqualTo(
            "1 archive leftovers (__MACOSX), 1 caption without a picture, 1 duplicate, 2 hidden,"
                + " 1 link that leads nowhere, 1 link to a folder that is read already or has another use, 1 no picture (no"
                + " extension), 1 notebook checkpoints, 3 thumbnails");
  }

  @Test
  void shouldFindPicturesInFoldersBelow() throws IOException {
    TestPictures.write(folder, "b", 64, 64, "b");
    TestPictures.write(folder.resolve("a/deep"), "a", 64, 64, "a");
    Files.createSymbolicLink(folder.resolve("link.png"), folder.resolve("b.png"));
    assertThat(scan().pictures()).extracting(Picture::instancePrompt).containsExactly("a", "b");
    assertThat(scan().folder().skipped()).containsOnly(Map.entry("duplicate", 1));
  }

  @Test
  void shouldNotTakeClassImagesBelowThePicturesForPictures() throws IOException {
    TestPictures.write(folder, "a", 64, 64, "a");
    TestPictures.write(folder.resolve("class"), "c", 64, 64, "c");
    TestPictures.write(folder.resolve("out/class_images/x"), "d", 64, 64, "d");
    String output = folder.resolve("out").toString();
    Concept concept =
        scan(
            "class_token",
            "man",
            "class_data_dir",
            // by another way: a link beside it leads to the same folder
            Files.createSymbolicLink(folder.resolve("out/link"), folder.resolve("class"))
                .toString(),
            "output_dir",
            output);
    assertThat(concept.pictures()).hasSize(1);
    assertThat(concept.folder().skippedInWords()).isEqualTo("2 folder with a use of its own");
  }

  @Test
  void shouldTakeRepeatsAndCaptionsFromKohyasFolders() throws IOException {
    TestPictures.write(folder.resolve("10_sks man"), "a", 64, 64, "sks, man, hat");
    TestPictures.write(folder.resolve("10_sks man"), "b", 64, 64, "");
    Files.delete(folder.resolve("10_sks man/b.txt"));
    TestPictures.write(folder.resolve("2023_summer"), "c", 64, 64, "c");
    TestPictures.write(folder.resolve("01_first"), "d", 64, 64, "d");
    Concept concept = scan("instance_token", "sks", "class_token", "man");
    assertThat(concept.pictures()).extracting(Picture::repeats).containsExactly(1, 10, 10, 1);
    assertThat(concept.pictures().get(2).instancePrompt()).isEqualTo("sks man");
    assertThat(concept.pictures().get(2).classCaption()).isEqualTo("man");
    assertThat(concept.notes())
        .containsExactly(
            folder.resolve("10_sks man")
                + ": its name says that each of its 2 pictures comes 10 times an epoch");
  }

  @Test
  void shouldLeaveTheClassCaptionEmptyWhereNothingSaysWhatTheClassIs() throws IOException {
    TestPictures.write(folder, "a", 64, 64, "a man");
    assertThat(scan().pictures().get(0).classCaption()).isEmpty();
    assertThat(scan("instance_token", "sks").pictures().get(0).instancePrompt())
        .isEqualTo("sks, a man");
    assertThat(scan("class_prompt", "a man").pictures().get(0).classCaption()).isEqualTo("a man");
  }

  @Test
  void shouldRefuseFoldersThatAreMissingOrWithoutPictures() throws IOException {
    assertThat(problem("instance_data_dir", folder.resolve("gone").toString()))
        .contains("gone is not there");
    assertThat(problem()).contains("has no pictures").contains("give another instance_data_dir");
    Files.createFile(folder.resolve("film.mp4"));
    assertThat(problem()).contains("only 1 no picture (.mp4)");
    assertThat(problem("instance_data_dir", folder.resolve("film.mp4").toString()))
        .contains("is no folder");
  }

  @Test
  void shouldRefuseAnEmptyCaptionWhereThePromptNeedsOne() throws IOException {
    TestPictures.write(folder, "01", 64, 64, " \n");
    assertThat(problem("instance_token", "sks", "class_token", "man"))
        .contains("01.png has an empty caption")
        .contains("01.txt");
    assertThat(scan("instance_prompt", "a photo of sks man").pictures()).hasSize(1);
    Files.delete(folder.resolve("01.txt"));
    assertThat(problem()).contains("01.png has an empty caption");
  }

  @Test
  void shouldRefuseATextFileThatIsCalledAPictureAndCameraFormats() throws IOException {
    Path text = Files.writeString(folder.resolve("x y.jpg"), "hello");
    assertThat(problem()).contains("x y.jpg is not a picture");
    Files.delete(text);
    Files.createFile(folder.resolve("IMG_1.HEIC"));
    assertThat(problem()).contains("IMG_1.HEIC is a HEIC picture");
  }

  @Test
  void shouldCropAPictureWhereItsOwnFileSays() throws IOException {
    TestPictures.write(folder, "a", 64, 64, "x");
    TestPictures.write(folder, "b", 64, 64, "x");
    TestPictures.write(folder, "c", 64, 64, "x");
    Files.writeString(folder.resolve("a.crop"), "0.25, 1\n");
    Files.writeString(folder.resolve("b.crop"), "Random");
    Files.writeString(folder.resolve("gone.crop"), "center");
    Concept concept = scan("crop", "0.5,0");
    assertThat(concept.pictures())
        .extracting(Picture::crop)
        .containsExactly(Crop.at(0.25, 1), Crop.RANDOM, Crop.at(0.5, 0));
    assertThat(concept.folder().skipped()).isEqualTo(Map.of("no picture (.crop)", 1));
    Files.writeString(folder.resolve("c.crop"), "the face");
    assertThat(problem())
        .contains("c.crop: found 'the face', allowed is center, random or two numbers");
  }

  @Test
  void shouldHandOverPicturesThatCannotBeTrainedWhileThereAreOthers() throws IOException {
    TestPictures.write(folder, "b", 64, 64, "x");
    Files.writeString(folder.resolve("a.jpg"), "hello");
    Files.writeString(folder.resolve("c.heic"), "other");
    TestPictures.write(folder, "d", 64, 64, "");
    Config config =
        ConfigReader.read(null, Map.of("instance_data_dir", folder.toString())).config();
    List<Concept.Refused> refused = new ArrayList<>();
    assertThat(Concept.scanAll(config, refused::add).get(0).pictures()).hasSize(1);
    assertThat(refused)
        .extracting(each -> each.file().getFileName().toString())
        .containsExactly("a.jpg", "c.heic", "d.png");
    assertThat(problem()).contains("a.jpg is not a picture");
    Files.delete(folder.resolve("b.png"));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> Concept.scanAll(config, each -> {}))
        .withMessageContaining("a.jpg is not a picture");
  }

  @Test
  void shouldRefuseTokensAndFoldersThatCannotWork() throws IOException {
    TestPictures.write(folder, "a", 64, 64, "x");
    assertThat(problem("instance_token", "man", "class_token", "old Man"))
        .contains("holds the instance_token");
    assertThat(problem("class_data_dir", folder.toString(), "class_token", "man"))
        .contains("a folder of their own");
    assertThatExceptionOfType(Problem.class).isThrownBy(() -> scan("instance_token", "a,b"));
  }
}
