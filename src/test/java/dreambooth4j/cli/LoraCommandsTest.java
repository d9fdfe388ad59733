package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.SafetensorsWriter;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** LoRA files on command lines; the expected picture is diffusers'. */
class LoraCommandsTest {
  private static final String SD1 = "src/test/resources/goldens/sd1/model";
  private static final String SDXL = "src/test/resources/goldens/sdxl/model";
  private static final Path LORAS = Path.of("src/test/resources/goldens/lora");
  private static final Path KOHYA = LORAS.resolve("sdxl-all.kohya.safetensors");
  private static final Path CASE = LORAS.resolve("sdxl-all-files.safetensors");

  @TempDir private Path folder;

  /** Draws as the picture of the case was drawn. */
  private Ran draw(String model, String... more) {
    Path latents = folder.resolve("latents.safetensors");
    try (Arena run = Arena.open("latents");
        Safetensors file = Safetensors.open(CASE)) {
      new SafetensorsWriter().add("latents", file.read(run, "input.latents")).write(run, latents);
    }
    List<String> args = new ArrayList<>(List.of("generate", model));
    args.addAll(List.of("sks man, sunglasses, black coat", "--negative", "blurry"));
    args.addAll(List.of("--steps", "3", "--guidance", "5", "--latents", latents.toString()));
    args.addAll(List.of("-o", folder.resolve("out.png").toString()));
    args.addAll(List.of(more));
    return Ran.of(args.toArray(String[]::new));
  }

  private static void assertIsTheRecordedPicture(Path file) throws IOException {
    BufferedImage picture = ImageIO.read(file.toFile());
    float[] expected;
    try (Arena run = Arena.open("picture");
        Safetensors recorded = Safetensors.open(CASE)) {
      expected = recorded.read(run, "output.picture.image").toFloats();
    }
    int plane = picture.getWidth() * picture.getHeight();
    assertThat(expected).hasSize(3 * plane);
    for (int i = 0; i < plane; i++) {
      int rgb = picture.getRGB(i % picture.getWidth(), i / picture.getWidth());
      for (int c = 0; c < 3; c++) {
        int ours = rgb >> (16 - 8 * c) & 0xFF;
        assertThat(Math.abs(ours - 255 * expected[c * plane + i])).isLessThanOrEqualTo(0.6f);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"kohya", "diffusers"})
  void shouldDrawWithALoraAsDiffusersDoes(String naming) throws IOException {
    Path lora = LORAS.resolve("sdxl-all." + naming + ".safetensors");

    Ran ran = draw(SDXL, "--lora", lora + ":0.7");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertIsTheRecordedPicture(folder.resolve("out.png"));
    String png = Files.readString(folder.resolve("out.png"), StandardCharsets.ISO_8859_1);
    assertThat(png).contains("black coat <lora:sdxl-all." + naming + ":0.7>");
  }

  @Test
  void shouldAddSeveralLoras() throws IOException {
    Ran ran = draw(SDXL, "--lora", KOHYA + ":1.2", "--lora", KOHYA + ":-0.5");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertIsTheRecordedPicture(folder.resolve("out.png"));
  }

  @Test
  void shouldTakeAWholeLoraWithoutAWeight() throws IOException {
    Path colon = Files.copy(KOHYA, folder.resolve("a:1.safetensors"));

    draw(SDXL, "--lora", colon.toString());
    byte[] whole = Files.readAllBytes(folder.resolve("out.png"));
    draw(SDXL, "--lora", KOHYA + ":1");

    assertThat(ImageIO.read(folder.resolve("out.png").toFile()).getRGB(9, 9))
        .isEqualTo(ImageIO.read(new ByteArrayInputStream(whole)).getRGB(9, 9));
  }

  @Test
  void shouldSayForWhichModelALoraIs() {
    Ran ran = draw(SD1, "--lora", KOHYA.toString());

    assertThat(ran.exitCode()).isEqualTo(3);
    assertThat(ran.err())
        .contains("sdxl-all.kohya.safetensors: ")
        .contains("are no factors of a LoRA, LoHa or LoKr of this model's layers")
        .contains("It was made for sdxl_base_v1-0");
  }

  @ParameterizedTest
  @ValueSource(strings = {":x", ":", ":1000"})
  void shouldRefuseWhatIsNoWeight(String weight) {
    Ran ran = draw(SDXL, "--lora", KOHYA + weight);

    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("sdxl-all.kohya.safetensors").containsIgnoringCase("weight");
  }

  @Test
  void shouldNameALoraThatIsNotThere() {
    Ran ran = draw(SDXL, "--lora", folder.resolve("none.safetensors") + ":0.5");

    assertThat(ran.exitCode()).isEqualTo(3);
    assertThat(ran.err()).contains("none.safetensors").doesNotContain(":0.5");
  }

  private Ran merge(String weight, Path output, String... more) {
    List<String> args = new ArrayList<>(List.of("merge", SDXL, "-o", output.toString()));
    args.addAll(List.of("--lora", KOHYA + ":" + weight));
    args.addAll(List.of(more));
    return Ran.of(args.toArray(String[]::new));
  }

  /** The model with half of the LoRA in it, as a folder. */
  private Path merged() {
    Path model = folder.resolve("merged");
    merge("0.5", model);
    return model;
  }

  @ParameterizedTest
  @ValueSource(strings = {"merged", "merged.safetensors"})
  void shouldWriteAModelThatNeedsNoLora(String name) throws IOException {
    Path model = folder.resolve(name);

    Ran ran = merge("0.7", model);

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("409 layers changed");
    String[] sizes = name.equals("merged") ? new String[0] : new String[] {"--model_config", SDXL};
    assertThat(draw(model.toString(), sizes).exitCode()).isZero();
    assertIsTheRecordedPicture(folder.resolve("out.png"));
  }

  @Test
  void shouldKeepTheTypesAndNamesOfTheModel() {
    Path half = folder.resolve("half");
    String weights = "unet/diffusion_pytorch_model.safetensors";
    Ran.of("convert", SDXL, half.toString(), "--dtype", "fp16");
    Path model = folder.resolve("merged");

    Ran.of("merge", half.toString(), "--lora", KOHYA.toString(), "-o", model.toString());

    try (Safetensors before = Safetensors.open(half.resolve(weights));
        Safetensors after = Safetensors.open(model.resolve(weights))) {
      assertThat(after.tensors().keySet()).isEqualTo(before.tensors().keySet());
      assertThat(after.tensors().values()).allMatch(each -> each.dtype() == DType.F16);
    }
  }

  @Test
  void shouldNotMergeNothingOrOverAModel() throws IOException {
    Path there = Files.createDirectories(folder.resolve("there"));
    Files.writeString(there.resolve("mine.txt"), "mine");

    Ran nothing = Ran.of("merge", SDXL, "-o", folder.resolve("new").toString());
    Ran over = merge("1", there);

    assertThat(nothing.exitCode()).isEqualTo(2);
    assertThat(nothing.err()).contains("nothing to merge: give a LoRA with --lora FILE");
    assertThat(over.exitCode()).isEqualTo(2);
    assertThat(over.err()).contains("there is there already, and is not written over");
    assertThat(there.resolve("mine.txt")).hasContent("mine");
    assertThat(folder.resolve("new")).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource({"kohya, fp32", "diffusers, fp32", "kohya, fp16"})
  void shouldExtractWhatWasMerged(String naming, String dtype) throws IOException {
    Path file = folder.resolve("back.safetensors");

    Ran ran =
        Ran.of(
            "extract",
            SDXL,
            merged().toString(),
            "--rank=3",
            "--naming=" + naming,
            "--dtype=" + dtype,
            "-o",
            file.toString());

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("409 layers; the LoRA holds 100.0 % of the difference\n");
    draw(SDXL, "--lora", file + ":1.4");
    assertIsTheRecordedPicture(folder.resolve("out.png"));
    try (Safetensors lora = Safetensors.open(file)) {
      assertThat(lora.metadata())
          .containsEntry("ss_base_model_version", "sdxl_base_v1-0")
          .containsEntry("modelspec.title", "back")
          .containsKey("sshs_model_hash");
    }
  }

  @Test
  void shouldExtractFromAFolderAndASingleFile() {
    Path model = folder.resolve("merged.safetensors");
    merge("0.5", model);
    String file = folder.resolve("back.safetensors").toString();

    Ran ran =
        Ran.of("extract", SDXL, model.toString(), "--model_config", SDXL, "--rank=3", "-o", file);

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err()).contains("merged.safetensors is read as SDXL");
    Ran none = Ran.of("extract", SDXL, SDXL, "--model_config", SDXL, "-o", file + "2.safetensors");
    assertThat(none.err()).contains("model_config is for a model in a single file");
  }

  /** The LoRA, whose header says this too. */
  private Path noted(String key, String value) {
    Path file = folder.resolve("noted.safetensors");
    try (Arena run = Arena.open("run");
        Safetensors source = Safetensors.open(KOHYA)) {
      SafetensorsWriter writer = new SafetensorsWriter().add(source, null).metadata(key, value);
      source.metadata().forEach(writer::metadata);
      writer.write(run, file);
    }
    return file;
  }

  @Test
  void shouldDrawWithSdxlsOwnLayersWhateverALoraSays() throws IOException {
    Ran ran = draw(SDXL, "--lora", noted("ss_clip_skip", "2") + ":0.7");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err()).doesNotContain("--clip-skip");
    assertIsTheRecordedPicture(folder.resolve("out.png"));
  }

  @Test
  void shouldReadPromptsAsTheModelSaysBeforeAnyLora() {
    Path model = folder.resolve("merged");
    Path long225 = noted("ss_max_token_length", "225");
    Ran.of("merge", SDXL, "--lora", long225.toString(), "-o", model.toString());

    Ran ran = draw(model.toString(), "--lora", noted("ss_max_token_length", "150").toString());

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("merged was trained with --clip-skip 1 --max-token-length 225, so it draws")
        .contains("noted.safetensors was trained with max_token_length 150, ");
  }

  @Test
  void shouldSayWhatALoraOfTooLowARankLacks() {
    Path file = folder.resolve("back.safetensors");

    Ran ran = Ran.of("extract", SDXL, merged().toString(), "--rank", "1", "-o", file.toString());

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.out()).containsPattern("holds [4-8]\\d\\.\\d % of the difference\n");
  }

  @Test
  void shouldExtractNothingFromTwoOfTheSame() {
    Path file = folder.resolve("back.safetensors");

    Ran ran = Ran.of("extract", SDXL, SDXL, "-o", file.toString());

    assertThat(ran.exitCode()).isEqualTo(3);
    assertThat(ran.err()).contains("have the same layers: there is no difference to extract");
    assertThat(file).doesNotExist();
  }

  /** Which with a large model takes many minutes. */
  @Test
  void shouldNotCompareModelsWhoseDifferenceCannotBeWritten() throws IOException {
    Path taken = Files.writeString(folder.resolve("taken"), "no folder");

    Ran ran = Ran.of("extract", SDXL, SDXL, "-o", taken.resolve("x.safetensors").toString());

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.err())
        .contains("x.safetensors: cannot be written")
        .doesNotContain("same layers");
  }

  @Test
  void shouldNotExtractWhatDoesNotFit() {
    Path file = folder.resolve("back.safetensors");
    String sd2 = SD1.replace("sd1", "sd2");

    assertThat(Ran.of("extract", SDXL, SD1, "-o", file.toString()).err())
        .contains("is of another kind than");
    assertThat(Ran.of("extract", SD1, sd2, "-o", file.toString()).err())
        .contains("expected [", "as in " + SD1);
    assertThat(Ran.of("extract", SD1, SD1, "-o", KOHYA.toString()).err())
        .contains("is there already, and is not written over");
    assertThat(Ran.of("extract", SD1, SD1, "-o", folder.resolve("x").toString()).err())
        .contains("must end in .safetensors");
    assertThat(Ran.of("extract", SD1, SD1, "--rank", "0", "-o", file.toString()).err())
        .contains("--rank must be from 1 to 4096, found 0");
    assertThat(file).doesNotExist();
  }

  @Test
  void shouldLeaveACardWithTheLastSample() throws IOException {
    TinyRun run = new TinyRun(folder).withPaintedClassImages().with("use_lora", true);

    Ran ran = Ran.of(run.with("max_train_steps", 2).arguments("train").toArray(String[]::new));

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    Path sample = run.output().resolve("samples/000002-sks.png");
    assertThat(run.output().resolve("sks.png")).hasSameBinaryContentAs(sample);
    assertThat(run.output().resolve("sks.json"))
        .content()
        .contains("\"activation text\" : \"sks\"");
    try (Safetensors file = Safetensors.open(run.output().resolve("sks.safetensors"))) {
      assertThat(file.metadata().get("modelspec.thumbnail")).startsWith("data:image/");
      assertThat(file.metadata().get("ss_tag_frequency"))
          .startsWith("{\"sks\":{")
          .contains("\"sks\":5", "\"hat\":2");
    }
  }
}
