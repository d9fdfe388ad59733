package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.data.TestPictures;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InspectCommandTest {
  private final PrintStream realOut = System.out;
  private final PrintStream realErr = System.err;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @TempDir Path folder;

  @BeforeEach
  void capture() {
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
  }

  @AfterEach
  void release() {
    System.setOut(realOut);
    System.setErr(realErr);
  }

  private String out() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private String err() {
    return err.toString(StandardCharsets.UTF_8);
  }

  private List<String[]> pictureLines() {
    return out().lines().filter(l -> l.contains("\t")).map(l -> l.split("\t", -1)).toList();
  }

  @Test
  void shouldPrintTheExamplesPlan() {
    assertThat(Main.run("inspect", "src/examples/santa/config.yaml")).isZero();
    assertThat(pictureLines()).hasSize(8).allMatch(fields -> fields.length == 4);
    assertThat(pictureLines())
        .contains(
            new String[] {
              "src/examples/santa/images/05.jpg",
              "48x72",
              "santa, white beard, pink background",
              "man, white beard, pink background"
            });
    assertThat(out()).contains("in output/santa/class_images/santa:");
    assertThat(err()).isEmpty();
  }

  @Test
  void shouldTakeNoNameOfACameraForACaption() throws IOException {
    for (String name : List.of("IMG_2041", "20240101_120000", "photo (1)", "00")) {
      Files.delete(TestPictures.write(folder, name, 64, 64, "x").resolveSibling(name + ".txt"));
    }
    int code =
        Main.run(
            "inspect",
            "--instance_data_dir=" + folder,
            "--output-dir=" + folder.resolve("out"),
            "--instance-token=sks",
            "--class_token=cat");
    assertThat(code).isZero();
    assertThat(pictureLines())
        .hasSize(4)
        .allMatch(fields -> fields[2].equals("sks cat") && fields[3].equals("cat"));
    assertThat(err().split("have no caption", -1)).hasSize(2);
    assertThat(out()).doesNotContain("without the class token");
  }

  @Test
  void shouldNotLetNamesAndCaptionsMoveTheTerminal() throws IOException {
    String escape = "\u001b[2J";
    TestPictures.write(folder, "a" + escape, 64, 64, "sks, man, hat" + escape);
    Files.writeString(folder.resolve("b" + escape + ".png"), "no picture");
    Files.writeString(folder.resolve("c." + escape), "of no kind");
    Main.run(
        "inspect",
        "--instance_data_dir=" + folder,
        "--output_dir=" + folder.resolve("out"),
        "--instance_token=sks",
        "--class_token=man",
        "--resolution=64");
    assertThat(out() + err()).doesNotContain("\u001b").contains("a\\u001b[2J.png");
    assertThat(pictureLines().get(0)[2]).isEqualTo("sks, man, hat[2J");
    assertThat(out()).contains("b\\u001b[2J.png").contains("is not a picture, despite its name");
  }

  /** The example of the method's own page. */
  @Test
  void shouldPrintArnoldsClassCaptionsExactly() throws IOException {
    String arnold = "Arnold Schwarzenegger, ";
    List<String> captions =
        List.of(
            "man, sunglasses, black coat, muscular, scene from Terminator",
            "man, suit, red tie, smiling",
            "muscular, smiling, man, flexing, black and white");
    for (int i = 0; i < 3; i++) {
      TestPictures.write(folder.resolve("arnold"), "0" + i, 64, 64, arnold + captions.get(i));
    }
    Files.writeString(
        folder.resolve("config.yaml"),
        """
        instance_data_dir: arnold
        class_data_dir: class
        instance_token: Arnold Schwarzenegger
        class_token: man
        """);
    TestPictures.write(folder.resolve("class"), "x", 512, 512, captions.get(1));
    assertThat(Main.run("inspect", folder.resolve("config.yaml").toString())).isZero();
    assertThat(pictureLines().stream().map(f -> f[3])).containsExactlyElementsOf(captions);
    assertThat(pictureLines().stream().map(f -> f[2]))
        .containsExactlyElementsOf(captions.stream().map(arnold::concat).toList());
    assertThat(out())
        .contains("      1       0  512x512    man, suit, red tie, smiling")
        .contains("      1       2  in all");
  }

  @Test
  void shouldTakeFlagsAndDiffusersSwitchesAroundTheFile() throws IOException {
    TestPictures.write(folder.resolve("p"), "a", 64, 64, "a man");
    Files.writeString(folder.resolve("c.yaml"), "instance_data_dir: p\nclass_token: man\n");
    Files.createFile(folder.resolve("p/.hidden"));
    int code =
        Main.run(
            "inspect",
            "--use_8bit_adam",
            "--enable_xformers_memory_efficient_attention",
            "--offset_noise",
            "--hflip",
            folder.resolve("c.yaml").toString(),
            "--resolution=256",
            "--mixed_precision",
            "fp16",
            "--train_text_encoder",
            "--num_class_images_per",
            "3",
            "--gradient_checkpointing");
    assertThat(code).as(err()).isZero();
    assertThat(pictureLines().get(0)[1]).isEqualTo("256x256");
    assertThat(out()).contains("      0       3  in all").doesNotContain("fp16");
    assertThat(err()).contains("read, no effect here: enable_xformers").contains("1 hidden");
  }

  @Test
  void shouldShowBoxesBelowThePicturesIfAsked() throws IOException {
    TestPictures.write(folder, "a", 300, 200, "a man");
    TestPictures.write(folder, "b", 640, 640, "a man");
    int code =
        Main.run(
            "inspect",
            "--boxes",
            "--instance_data_dir=" + folder,
            "--buckets=kohya",
            "--bucket_no_upscale",
            "--crop=0.5,0");
    assertThat(code).as(err()).isZero();
    assertThat(pictureLines().stream().map(f -> f[1])).containsExactly("256x192", "512x512");
    assertThat(out())
        .contains("    300x200 scaled by 0.960 to 288x192, cropped to 256x192 at 16,0\n")
        .contains("    640x640 scaled by 0.800 to 512x512, cropped to 512x512 at 0,0\n");
  }

  @Test
  void shouldWarnAndWriteAPageThoughAPictureIsDamaged() throws IOException {
    TestPictures.paint(folder.resolve("p"), "a", 64, 64, "sks, man, hat", 1);
    TestPictures.paint(folder.resolve("p"), "b", 256, 128, "sks, man, beard", 2);
    Files.writeString(folder.resolve("p/b.crop"), "0,0.5");
    Files.writeString(folder.resolve("p/c\t\u001b[2J.png"), "no picture");
    Path page = folder.resolve("new/report.html");
    int code =
        Main.run(
            "inspect",
            "--boxes",
            "--html=" + page,
            "--pretrained_model_name_or_path=weights/sprites64",
            "--instance_data_dir=" + folder.resolve("p"),
            "--instance_token=sks",
            "--class_token=man",
            "--output_dir=" + folder.resolve("out"),
            "--resolution=128");
    assertThat(code).as(err()).isEqualTo(3);
    assertThat(pictureLines()).hasSize(2);
    assertThat(out())
        .contains("256x128 scaled by 0.688 to 176x88, cropped to 176x88 at 0,0")
        .contains("- 1 picture cannot be trained; train would stop there: ")
        .contains("c\\u0009\\u001b[2J.png (is not a picture")
        .contains("- 1 picture enlarged to fill the bucket")
        .contains("a.png (2.00 times)")
        .contains("Report: " + page);
    assertThat(err()).isEmpty();
    assertThat(page).content().contains("of 75 tokens");
  }

  @Test
  void shouldInspectWithoutABaseModel() throws IOException {
    TestPictures.paint(folder, "a", 64, 64, "a man", 1);
    int code =
        Main.run(
            "inspect",
            "--pretrained_model_name_or_path=nobody/nothing",
            "--resolution=64",
            "--instance_data_dir=" + folder);
    assertThat(code).isZero();
    assertThat(out()).contains("Warnings: none");
    assertThat(err())
        .contains("tokens of the prompts are not counted: ")
        .contains("hf download nobody/nothing");
  }

  @Test
  void shouldHandOverEveryFlagAsItWasWritten() throws IOException {
    assertThat(Main.run("inspect", "--hflip", "maybe")).isEqualTo(2);
    assertThat(Main.run("inspect", "--stop_text_encoder=2")).isEqualTo(2);
    assertThat(Main.run("inspect", "--tomesd", "0.5", "--instance_data_dir", "x")).isEqualTo(2);
    assertThat(Main.run("inspect", "--lr_cycles", "0", "--weight_decay", "-1")).isEqualTo(2);
    assertThat(err())
        .contains("maybe: there is no such file")
        .contains("--tomesd: 0.5 is not done here")
        .contains("--stop_text_encoder: found '2', allowed is a number from 0 to 1")
        .contains("--lr_num_cycles: found '0'")
        .contains("--adam_weight_decay: found '-1'");
  }

  @Test
  void shouldExitWithTheKindOfTheProblem() throws IOException {
    assertThat(Main.run("inspect", folder.resolve("gone.yaml").toString())).isEqualTo(2);
    assertThat(Main.run("inspect", "--resolutoin", "4")).isEqualTo(2);
    assertThat(Main.run("inspect", "--instance_data_dir", folder.resolve("gone").toString()))
        .isEqualTo(3);
    assertThat(err()).contains("--resolution").contains("gone is not there").doesNotContain("\tat");
    TestPictures.write(folder, "a", 64, 64, "");
    assertThat(Main.run("-v", "inspect", "--instance_data_dir", folder.toString())).isEqualTo(3);
    assertThat(err()).contains("empty caption").contains("\tat dreambooth4j");
    assertThat(out()).isEmpty();
  }

  @Test
  void shouldListEveryKeyUnderItsHeading() {
    assertThat(Main.run("train", "--help")).isZero();
    assertThat(out())
        .containsSubsequence(
            "Model:",
            "--pretrained_model_name_or_path",
            "Data:",
            "--instance_data_dir",
            "Training:",
            "--train_batch_size",
            "Prior loss:",
            "--prior_loss_weight",
            "Samples:",
            "--n_save_sample",
            "Output:",
            "--output_dir")
        .doesNotContain("enable_xformers");
  }

  @Test
  void shouldCountTokensWithNoMoreThanATokenizer() throws IOException {
    TestPictures.write(folder.resolve("p"), "a", 64, 64, "hat, ".repeat(40) + "red shoes");
    TestPictures.write(folder.resolve("p"), "b", 64, 64, "a hat");
    Path base = folder.resolve("base");
    Files.createDirectories(base.resolve("tokenizer"));
    Path whole = Path.of("weights/sprites64");
    Files.copy(whole.resolve("model_index.json"), base.resolve("model_index.json"));
    Files.copy(whole.resolve("tokenizer/tokenizer.json"), base.resolve("tokenizer/tokenizer.json"));
    String pictures = "--instance_data_dir=" + folder.resolve("p");
    String model = "--pretrained_model_name_or_path=" + base;
    assertThat(Main.run("inspect", pictures, model)).as(err()).isZero();
    assertThat(err())
        .contains("a.png: its instance prompt has 82 tokens, of which 75 are read; cut off: ")
        .contains("red shoes\nmax_token_length: 150 reads it whole\n")
        .doesNotContain("b.png");
    err.reset();
    assertThat(Main.run("inspect", pictures, model, "--max_token_length=150")).isZero();
    assertThat(err()).isEmpty();
    assertThat(Main.run("inspect", pictures)).isZero();
    assertThat(err())
        .containsOnlyOnce("tokens of the prompts are not counted: pretrained_model_name_or_path");
  }
}
