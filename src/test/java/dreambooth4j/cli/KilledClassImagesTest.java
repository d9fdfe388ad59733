package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.data.TestPictures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Class images of many pictures, their making killed half way and begun again. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(120)
class KilledClassImagesTest {
  private static final int PICTURES = 200;
  private static final int[][] SIZES = {{40, 40}, {64, 36}, {30, 60}, {45, 36}, {33, 47}};
  private static final String[] TAGS = {"hat", "beach", "red scarf", "snow, tree"};

  @TempDir Path folder;

  /** Pictures of all shapes, every third a JPEG that its EXIF orientation turns or mirrors. */
  private Path pictures() throws IOException {
    Path pictures = folder.resolve("pictures");
    for (int i = 0; i < PICTURES; i++) {
      int[] size = SIZES[i % SIZES.length];
      String caption = "sks, man, " + TAGS[i % TAGS.length];
      if (i % 3 == 0) {
        TestPictures.paintTurned(pictures, "p" + i, size[0], size[1], caption, i, 1 + i % 8);
      } else {
        TestPictures.paint(pictures, "p" + i, size[0], size[1], caption, i);
      }
    }
    return pictures;
  }

  private List<String> command(Path pictures, Path classFolder, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "class-images",
                "--pretrained_model_name_or_path=src/test/resources/goldens/sd1/model",
                "--instance_data_dir=" + pictures,
                "--class_data_dir=" + classFolder,
                "--instance_token=sks",
                "--class_token=man",
                "--resolution=32",
                "--class_infer_steps=1",
                "--class_guidance_scale=1"));
    arguments.addAll(Arrays.asList(more));
    return arguments;
  }

  private static List<Path> files(Path folder, String extension) throws IOException {
    try (Stream<Path> all = Files.exists(folder) ? Files.list(folder) : Stream.empty()) {
      return all.filter(file -> file.toString().endsWith(extension)).sorted().toList();
    }
  }

  /** The records of the pictures; each is whole, with its caption beside it. */
  private static List<JsonNode> records(Path classFolder) throws IOException {
    List<JsonNode> records = new ArrayList<>();
    for (Path picture : files(classFolder, ".png")) {
      String stem = picture.toString().replaceFirst("png$", "");
      JsonNode record = new ObjectMapper().readTree(Files.readAllBytes(Path.of(stem + "json")));
      assertThat(Path.of(stem + "txt")).hasContent(record.path("prompt").asText());
      assertThat(ImageIO.read(picture.toFile()).getWidth()).isEqualTo(record.path("width").asInt());
      records.add(record);
    }
    return records;
  }

  /** How many there are of each caption and size. */
  private static Map<String, Integer> pools(List<JsonNode> records) {
    Map<String, Integer> pools = new HashMap<>();
    for (JsonNode record : records) {
      String size = record.path("width") + "x" + record.path("height");
      pools.merge(size + " +" + record.path("prompt").asText(), 1, Integer::sum);
    }
    return pools;
  }

  @Test
  void shouldGoOnWhereItWasKilled() throws Exception {
    Path pictures = pictures();
    Path killed = folder.resolve("killed");
    Ran plan = Ran.of(command(pictures, killed, "--plan"));
    assertThat(plan.exitCode()).as(plan.err()).isZero();
    assertThat(plan.out()).contains("200       0     200  in all");

    try (Child child = Child.of(command(pictures, killed, "--sample_batch_size=2"))) {
      child.waitFor("class images");
      while (files(killed, ".png").size() < PICTURES / 2) {
        Thread.sleep(1);
      }
      child.kill();
    }
    assertThat(records(killed)).hasSizeBetween(PICTURES / 2, PICTURES - 1);
    Path left = Files.writeString(killed.resolve(".a.png.0123456789abcdef.part"), "half");

    Ran second = Ran.of(command(pictures, killed, "--sample_batch_size=10"));
    assertThat(second.exitCode()).as(second.err()).isZero();
    assertThat(left).doesNotExist();
    assertThat(files(killed, ".part")).isEmpty();
    List<JsonNode> records = records(killed);
    assertThat(records).hasSize(PICTURES).doesNotHaveDuplicates();
    assertThat(records).extracting(record -> record.path("seed").asLong()).doesNotHaveDuplicates();
    pools(records)
        .forEach(
            (pool, count) ->
                assertThat(plan.out()).containsPattern(" %d +%s\n".formatted(count, pool)));
    assertThat(files(killed, ".txt")).hasSize(PICTURES);
    assertThat(files(killed, ".json")).hasSize(PICTURES);

    Path whole = folder.resolve("whole");
    assertThat(Ran.of(command(pictures, whole, "--sample_batch_size=10")).exitCode()).isZero();
    // Not the names, which are of the pixels: a batch of another size may round otherwise.
    assertThat(records(whole)).containsExactlyInAnyOrderElementsOf(records);
    assertThat(Ran.of(command(pictures, killed, "--plan")).out()).contains("200     200       0");
  }
}
