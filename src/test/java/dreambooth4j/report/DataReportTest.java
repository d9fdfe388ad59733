package dreambooth4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.groups.Tuple.tuple;

import dreambooth4j.config.ConfigReader;
import dreambooth4j.data.TestPictures;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.report.Finding.Kind;
import dreambooth4j.weights.ComponentFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataReportTest {
  private static final Path TOKENIZER = Path.of("weights/sprites64/tokenizer");

  @TempDir Path folder;
  private Path pictures;

  @BeforeEach
  void folders() {
    pictures = folder.resolve("pictures");
  }

  private DataScan scan(String... more) {
    Map<String, String> flags = new HashMap<>();
    flags.put("instance_data_dir", pictures.toString());
    flags.put("output_dir", folder.resolve("out").toString());
    flags.put("instance_token", "sks");
    flags.put("class_token", "man");
    flags.put("resolution", "64");
    for (int i = 0; i < more.length; i += 2) {
      flags.put(more[i], more[i + 1]);
    }
    return DataScan.of(ConfigReader.read(null, flags).config());
  }

  private DataReport report(String... more) {
    try (Tokenizer tokenizer = Tokenizer.open(ComponentFiles.in(TOKENIZER))) {
      return DataReport.of(scan(more), text -> tokenizer.count(text, 1), true, done -> {});
    }
  }

  private Document page(DataReport report) throws IOException {
    Path file = folder.resolve("report.html");
    DataPage.write(report, file);
    return Jsoup.parse(file, "UTF-8", "");
  }

  private void paint(String name, int width, int height, String caption) throws IOException {
    TestPictures.paint(pictures, name, width, height, caption, name.hashCode());
  }

  private static Finding only(DataReport report, Kind kind) {
    List<Finding> found = report.findings().stream().filter(f -> f.kind() == kind).toList();
    assertThat(found).as("%s in %s", kind, report.findings()).hasSize(1);
    return found.get(0);
  }

  private static List<String> names(Finding finding) {
    return finding.cases().stream().map(each -> each.file().getFileName().toString()).toList();
  }

  @Test
  void shouldFindNothingInASoundSet() throws IOException {
    paint("a", 64, 64, "sks, man, red hat");
    paint("b", 128, 100, "sks, man, beach");
    paint("c", 100, 128, "sks man smiling");
    assertThat(report().findings()).isEmpty();
    Document page = page(report());
    assertThat(page.select("#warnings").text()).contains("None");
    assertThat(page.select(".card")).hasSize(3);
    assertThat(page.select(".card.warned, .warning")).isEmpty();
  }

  @Test
  void shouldFindWhatSpoilsATraining() throws IOException {
    String words = String.join(", ", IntStream.range(0, 60).mapToObj(i -> "w" + i).toList());
    paint("copy", 256, 256, "sks, man, beach");
    Files.copy(pictures.resolve("copy.png"), pictures.resolve("copy2.png"));
    Files.writeString(pictures.resolve("copy2.txt"), "sks, man, sea");
    // One byte more, for files of the same content are left out anyway.
    Files.write(pictures.resolve("copy2.png"), append(pictures.resolve("copy2.png")));
    paint("large", 512, 512, "sks, man, forest");
    paint("long", 80, 64, "sks, man, " + words);
    paint("soft", 48, 48, "sks, man, small");
    paint("tiny", 16, 20, "sks, tiny");
    Files.writeString(pictures.resolve("broken.jpg"), "no picture");
    byte[] half = Files.readAllBytes(pictures.resolve("large.png"));
    Files.write(pictures.resolve("half.png"), Arrays.copyOf(half, half.length / 2));

    DataReport report = report();
    assertThat(report.findings()).extracting(Finding::kind).isSorted();
    assertThat(names(only(report, Kind.UNREADABLE))).containsExactly("broken.jpg", "half.png");
    assertThat(only(report, Kind.UNREADABLE).line(file -> "F"))
        .startsWith("2 pictures cannot be trained")
        .contains("F (is not a picture, despite its name")
        .contains("F (cannot be read: it seems damaged");
    assertThat(names(only(report, Kind.LONG_PROMPT))).containsExactly("long.png");
    assertThat(only(report, Kind.LONG_PROMPT).cases().get(0).detail())
        .contains("tokens, not read:");
    assertThat(names(only(report, Kind.NO_CLASS_TOKEN))).containsExactly("tiny.png");
    assertThat(only(report, Kind.ENLARGED).cases())
        .extracting(each -> each.file().getFileName().toString(), Finding.Case::detail)
        .containsExactly(tuple("soft.png", "1.33 times"));
    assertThat(names(only(report, Kind.TINY))).containsExactly("tiny.png");
    assertThat(only(report, Kind.NEAR_DUPLICATE).cases())
        .extracting(each -> each.file().getFileName().toString(), Finding.Case::detail)
        .containsExactly(tuple("copy2.png", "like copy.png"));

    Document page = page(report);
    assertThat(page.select(".card")).hasSize(8);
    assertThat(page.select(".card h4").eachText()).contains("broken.jpg", "half.png");
    Element cut = page.expectFirst(".card:has(h4:containsOwn(long.png)) .prompt mark");
    assertThat(cut.text()).endsWith("w59").doesNotContain("w0,");
    for (Element link : page.select("#warnings a")) {
      String anchor = link.attr("href").substring(1);
      assertThat(page.expectFirst("#" + anchor).text()).contains(link.text());
    }
  }

  private static byte[] append(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    return Arrays.copyOf(bytes, bytes.length + 1);
  }

  @Test
  void shouldSayWhichTagIsInEveryCaption() throws IOException {
    paint("a", 64, 64, "sks, man, red hat, beach");
    paint("b", 64, 64, "sks, man, sea, Red Hat");
    paint("c", 64, 64, "sks, man, red hat");
    assertThat(report().findings()).hasSize(1);
    assertThat(only(report(), Kind.SHARED_TAG).text()).contains("'red hat'").contains("bound");
  }

  @Test
  void shouldSayThatAllCaptionsAreEqual() throws IOException {
    for (String name : List.of("a", "b", "c")) {
      paint(name, 64, 64, "sks man in a hat");
    }
    assertThat(only(report(), Kind.EQUAL_CAPTIONS).text()).contains("all 3 pictures");
    // Who gives a fixed prompt means it.
    assertThat(report("instance_prompt", "a photo of sks man").findings()).isEmpty();
  }

  @Test
  void shouldLayAMaskOverItsPicture() throws IOException {
    paint("a", 64, 64, "sks, man, a");
    paint("b", 64, 64, "sks, man, b");
    Files.move(paintMask("mask"), pictures.resolve("a.mask.png"));
    Document page = page(report("masked_loss", "true"));
    assertThat(page.select(".card")).hasSize(2);
    Element masked = page.expectFirst(".card:has(h4:containsOwn(a.png))");
    assertThat(masked.select("img.mask").attr("src")).startsWith("data:image/");
    assertThat(masked.text()).contains("masked by a.mask.png");
    Element whole = page.expectFirst(".card:has(h4:containsOwn(b.png))");
    assertThat(whole.select("img.mask")).isEmpty();
    assertThat(whole.text()).contains("no mask file");
    assertThat(page(report()).select("img.mask")).isEmpty();
  }

  private Path paintMask(String name) throws IOException {
    return dreambooth4j.data.TestPictures.paint(
        pictures.resolveSibling("masks"), name, 64, 64, "", 9);
  }

  @Test
  void shouldDrawWhatIsCutAway() throws IOException {
    paint("wide", 200, 100, "sks, man, a");
    paint("square", 90, 90, "sks, man, b");
    Document page = page(report("crop", "0.5,1"));
    Element wide = page.expectFirst(".card:has(h4:containsOwn(wide.png))");
    assertThat(wide.select("svg").attr("viewBox")).isEqualTo("0 0 88 44");
    assertThat(wide.select(".frame").attr("d")).isEqualTo("M0 4V44H88V4Z");
    assertThat(wide.select(".facts").text())
        .isEqualTo("200×100 scaled by 0.440 into 88x40, 9 % cut away (crop at 0,4)");
    Element square = page.expectFirst(".card:has(h4:containsOwn(square.png))");
    assertThat(square.select(".facts").text()).endsWith("nothing cut away");
    assertThat(square.select("dd").eachText())
        .containsExactly(
            "sks, man, b",
            "sks, man, b 6 of 75 tokens",
            "man, b 3 of 75 tokens",
            "0 of 1 there, 1 to make");
  }

  @Test
  void shouldShowEveryTextAsItIsWrittenAndRunNone() throws IOException {
    String evil =
        "sks, man, <script>alert(1)</script>, \" onerror=\"alert(2)\" {{title}} 'x' &amp;";
    String name = "<img src=x onerror=alert(3)> 'q' &lt;";
    paint(name, 64, 64, evil);
    Files.writeString(pictures.resolve("<b>broken.png"), "no picture");
    DataReport report = report("class_data_dir", folder.resolve("<i>class").toString());
    Document page = page(report);
    assertThat(page.select("script")).hasSize(1);
    assertThat(page.select("b, i").eachText()).doesNotContain("roken.png", "class");
    assertThat(page.select("img")).hasSize(1);
    assertThat(page.select("img").attr("alt")).isEqualTo(name + ".png");
    assertThat(page.select("[onerror]")).isEmpty();
    assertThat(page.expectFirst(".card dd").text()).isEqualTo(evil);
    assertThat(page.select(".card h4").eachText()).containsExactly("<b>broken.png", name + ".png");
  }

  @Test
  void shouldNeedNothingBesideItself() throws Exception {
    paint("a", 64, 64, "sks, man, http://example.com");
    Document page = page(report());
    for (Element each : page.select("[src]")) {
      assertThat(each.attr("src")).startsWith("data:image/");
    }
    for (Element each : page.select("[href]")) {
      assertThat(each.attr("href")).startsWith("#");
    }
    assertThat(page.select("link, iframe, object, embed, base, form, [style]")).isEmpty();
    String style = page.expectFirst("style").data();
    assertThat(style).doesNotContain("url(").doesNotContain("@import");
    String policy = page.select("meta[http-equiv=Content-Security-Policy]").attr("content");
    assertThat(policy)
        .isEqualTo(
            "default-src 'none'; img-src data:; style-src %s; script-src %s"
                .formatted(hash(style), hash(page.expectFirst("script").data())));
  }

  private static String hash(String text) throws Exception {
    byte[] digest =
        MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    return "'sha256-%s'".formatted(Base64.getEncoder().encodeToString(digest));
  }

  @Test
  void shouldShowTheClassImagesThatAreThere() throws IOException {
    paint("a", 64, 64, "sks, man, hat");
    paint("b", 64, 64, "sks, man, beard");
    Path class_ = folder.resolve("class");
    for (int i = 0; i < 10; i++) {
      TestPictures.paint(class_, "c" + i, 64, 64, "man, hat", i);
    }
    // One is damaged in its header, one in its pixels.
    Files.writeString(class_.resolve("c9.png"), "no picture");
    byte[] png = Files.readAllBytes(class_.resolve("c0.png"));
    Arrays.fill(png, png.length / 2, png.length - 20, (byte) 7);
    Files.write(class_.resolve("c0.png"), png);
    DataReport report = report("class_data_dir", class_.toString(), "num_class_images_per", "12");
    assertThat(names(only(report, Kind.UNREADABLE))).containsExactly("c9.png");
    Document page = page(report);
    assertThat(page.select(".pool p").eachText())
        .containsExactly(
            "9 of 12 there, 3 to make 64x64 man, hat",
            "0 of 12 there, 12 to make 64x64 man, beard");
    assertThat(page.select("#pool-1 img")).hasSize(7);
    assertThat(page.select("#pool-1 .broken").text()).contains("c0.png").contains("damaged");
    assertThat(page.select("#pool-1 .more").text()).isEqualTo("and 1 more");
    assertThat(page.select("#words tbody tr").eachText())
        .containsExactly(
            "man 2 100 % 24 100 % name",
            "sks 2 100 % 0 0 % name", "beard 1 50 % 12 50 %", "hat 1 50 % 12 50 %");
  }

  @Test
  void shouldStaySmallWithLargePictures() throws IOException {
    for (int i = 0; i < 4; i++) {
      paint("p" + i, 1500, 1000, "sks, man, tag " + i);
    }
    page(report());
    // Noise, which compresses worst; the pictures are 4.5 MB each.
    assertThat(Files.size(folder.resolve("report.html"))).isLessThan(500_000);
  }

  @Test
  void shouldCountWordsAndTagsOfSeveralWords() throws IOException {
    paint("a", 64, 64, "sks, man, red hat");
    paint("b", 64, 64, "sks, man, Red coat, red hat");
    WordTable words = WordTable.of(scan().pictures(), scan().plan(), scan().config().concepts());
    assertThat(words.instances()).isEqualTo(2);
    assertThat(words.rows())
        .extracting(
            WordTable.WordCount::text, WordTable.WordCount::isTag, WordTable.WordCount::inInstances)
        .containsExactly(
            tuple("hat", false, 2),
            tuple("man", false, 2),
            tuple("red", false, 2),
            tuple("red hat", true, 2),
            tuple("sks", false, 2),
            tuple("coat", false, 1),
            tuple("red coat", true, 1));
  }
}
