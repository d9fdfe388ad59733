package dreambooth4j.web;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.data.TestPictures;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReviewFileTest {
  @TempDir Path folder;

  private String write(TinyRun tiny) throws IOException {
    Config config = tiny.config();
    List<Concept> concepts = Concept.scanAll(config);
    Path file = tiny.output().resolve("class_images.html");
    ReviewFile.write(file, config, concepts, ClassImagePlan.of(config, concepts));
    return Files.readString(file);
  }

  @Test
  void shouldLinkToEachPictureWhereItLies() throws IOException {
    TinyRun tiny = new TinyRun(folder).withPaintedClassImages();
    TestPictures.paint(tiny.pictures(), "a #1 50% \"ü\"", 32, 32, "sks, man, <script>x", 7);
    String html = write(tiny);
    Matcher sources = Pattern.compile("<img src=\"([^\"]+)\"").matcher(html);
    int count = 0;
    while (sources.find()) {
      URI link = tiny.output().toUri().resolve(sources.group(1));
      assertThat(Path.of(link)).isRegularFile();
      count++;
    }
    assertThat(count).isEqualTo(11);
    assertThat(html)
        .contains("man, &lt;script&gt;x", "6 pictures, 5 class images, 1 missing", "<style>")
        .doesNotContain("<script", "<button", "data-spot", "../../..");
  }

  @Test
  void shouldEmbedWhatBrowsersDoNotShow() throws IOException {
    TinyRun tiny = new TinyRun(folder).withPaintedClassImages();
    Files.copy(
        Path.of("src/test/resources/pictures/orientation-6.tif"),
        tiny.pictures().resolve("sks, man, tree.tif"));
    assertThat(write(tiny)).contains("<img src=\"data:image/png;base64,");
  }
}
