package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.train.TinyModel;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.SafetensorsWriter;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Element;

/** The expected pictures are diffusers': see src/test/python/make_pictures.py. */
class GenerateCommandTest {
  private static final String MODEL = "src/test/resources/goldens/sd1/model";
  private static final Path EXPECTED = Path.of("src/test/resources/generate");
  private static final String PROMPT = "a cat, red background";

  @TempDir private Path folder;

  private Ran generate(String... more) {
    List<String> args = new ArrayList<>(List.of("generate", MODEL, PROMPT));
    args.addAll(List.of("-o", folder.resolve("out.png").toString()));
    args.addAll(List.of(more));
    if (!args.contains("--steps")) {
      args.addAll(List.of("--steps", "4"));
    }
    return Ran.of(args.toArray(String[]::new));
  }

  private Ran generateAsRecorded(String sampler, String guidance, String... more) {
    List<String> args = new ArrayList<>(List.of("--sampler", sampler, "--guidance", guidance));
    args.addAll(List.of("--seed", "5", "--negative", "dog"));
    args.addAll(List.of(more));
    return generate(args.toArray(String[]::new));
  }

  @ParameterizedTest
  @CsvSource({"ddim, 1.0", "pndm, 7.5", "euler_ancestral, 3.0", "dpmpp_2m, 3.0"})
  void shouldDrawThePicturesThatDiffusersDraws(String sampler, String guidance) throws IOException {
    Ran ran = generateAsRecorded(sampler, guidance, "-n", "2", "--width", "64", "--height", "48");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.exitCode()).isZero();
    assertThat(ran.out()).contains("out.png", "out-1.png", "out-2.png", "seed 5");
    BufferedImage grid = read(folder.resolve("out.png"));
    assertThat(grid.getWidth()).isEqualTo(128);
    assertThat(grid.getHeight()).isEqualTo(48);
    for (int i = 1; i <= 2; i++) {
      BufferedImage expected = read(EXPECTED.resolve(sampler + "-" + guidance + "-" + i + ".png"));
      BufferedImage single = read(folder.resolve("out-" + i + ".png"));
      assertThat(furthest(single, expected)).isLessThanOrEqualTo(1);
      assertThat(furthest(grid.getSubimage((i - 1) * 64, 0, 64, 48), single)).isZero();
    }
  }

  @ParameterizedTest
  @CsvSource({"bf16, 12", "fp16, 3"})
  void shouldDrawNearlyTheSameWithWeightsOfHalfTheSize(String precision, int levels)
      throws IOException {
    generateAsRecorded("ddim", "1.0", "--width", "64", "--height", "48");
    BufferedImage wide = read(folder.resolve("out.png"));
    Ran ran =
        generateAsRecorded(
            "ddim", "1.0", "--width", "64", "--height", "48", "--precision", precision);

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(furthest(read(folder.resolve("out.png")), wide)).isBetween(1, levels);
  }

  @Test
  void shouldWeighWordsAndDrawWildcardsByTheSeed() throws IOException {
    byte[] plain = drawn("a red hat");
    assertThat(drawn("a (red:1.4) hat")).isNotEqualTo(plain);
    assertThat(drawn("a (red:1.4) hat", "--no-prompt-weights"))
        .isNotEqualTo(drawn("a (red:1.4) hat"));
    assertThat(drawn("a \\(red\\) hat")).isEqualTo(drawn("a (red) hat", "--no-prompt-weights"));
    assertThat(drawn("a {red|red} hat")).isEqualTo(plain);
    Files.writeString(folder.resolve("colour.txt"), "red\n");
    assertThat(drawn("a __colour__ hat", "--wildcards", folder.toString())).isEqualTo(plain);
  }

  private byte[] drawn(String prompt, String... more) throws IOException {
    Path file = folder.resolve("drawn.png");
    List<String> args = new ArrayList<>(List.of("generate", MODEL.toString(), prompt));
    args.addAll(List.of("-o", file.toString(), "--steps=1", "--seed=3"));
    args.addAll(List.of(more));
    Ran ran = Ran.of(args);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    BufferedImage image = read(file);
    byte[] pixels = new byte[3 * image.getWidth() * image.getHeight()];
    for (int i = 0; i < pixels.length; i++) {
      int rgb = image.getRGB(i / 3 % image.getWidth(), i / 3 / image.getWidth());
      pixels[i] = (byte) (rgb >> (8 * (i % 3)));
    }
    return pixels;
  }

  /** As diffusers: the layer that is chosen for the prompt is not chosen for the negative one. */
  @Test
  void shouldNotSkipLayersForTheNegativePrompt() {
    try (Arena run = Arena.open("run");
        StableDiffusion model =
            StableDiffusion.load(run, ModelSource.find(MODEL, ModelOptions.NONE))) {
      PromptEncoder skipping = new PromptEncoder(model, new TextEncoding(2, 75));
      PromptEncoder usual = new PromptEncoder(model, TextEncoding.USUAL);
      float[] negative = states(skipping.encodeNegative(run, "dog"));
      assertThat(negative)
          .isEqualTo(states(usual.encode(run, List.of("dog"))))
          .isNotEqualTo(states(skipping.encode(run, List.of("dog"))));
    }
  }

  private static float[] states(Conditioning<Tensor> said) {
    return said.get(Conditioning.HIDDEN_STATES).toFloats();
  }

  @Test
  void shouldBeginFromGivenLatents() throws IOException {
    Path latents = folder.resolve("latents.safetensors");
    try (Arena arena = Arena.open("test");
        TorchNoise noise = TorchNoise.ofBatch(5)) {
      Tensor drawn = noise.draw(arena, 2, 12, 16, 4);
      new SafetensorsWriter().add("latents", ChannelsLast.undo(arena, drawn)).write(arena, latents);
    }

    Ran ran = generateAsRecorded("ddim", "1.0", "--latents", latents.toString());

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    BufferedImage expected = read(EXPECTED.resolve("ddim-1.0-2.png"));
    assertThat(furthest(read(folder.resolve("out-2.png")), expected)).isLessThanOrEqualTo(1);
  }

  @Test
  void shouldSayInThePictureHowItWasMade() throws IOException {
    generate(
        "--seed", "7", "--sampler", "ddim", "--negative", "犬", "--width", "32", "--height", "32");

    assertThat(parameters(folder.resolve("out.png")))
        .isEqualTo(
            PROMPT
                + "\nNegative prompt: 犬\nSteps: 4, Sampler: DDIM, CFG scale: 7.5, Seed: 7, Size:"
                + " 32x32, Model: model, Clip skip: 1");
  }

  @Test
  void shouldSayWhatOfThePromptIsCutOffAndReadItIfAsked() throws IOException {
    String prompt = "hat, ".repeat(40) + "red background";
    Path file = folder.resolve("out.png");
    String[] args = {
      "generate", MODEL, prompt, "-o", file.toString(), "--seed=7", "--steps=2", "--width=32"
    };
    Ran cut = Ran.of(args);
    assertThat(cut.exitCode()).as(cut.err()).isZero();
    assertThat(cut.err())
        .contains("the prompt has ", " tokens, of which 75 are read; cut off: ")
        .contains("red background\n--max-token-length 150 reads it whole\n");
    byte[] before = Files.readAllBytes(file);

    String[] more = Arrays.copyOf(args, args.length + 1);
    more[args.length] = "--max-token-length=150";
    Ran whole = Ran.of(more);
    assertThat(whole.exitCode()).as(whole.err()).isZero();
    assertThat(whole.err()).doesNotContain("cut off");
    assertThat(parameters(file)).endsWith(", Clip skip: 1, Max token length: 150");
    assertThat(Files.readAllBytes(file)).isNotEqualTo(before);
  }

  @Test
  void shouldDrawAsTheModelWasTrainedUnlessToldOtherwise() throws IOException {
    Path model = folder.resolve("model");
    TinyModel.copyWithNotes(model, new TextEncoding(2, 150).notes());
    Path file = folder.resolve("out.png");
    List<String> args =
        List.of("generate", model.toString(), "hat", "-o", file.toString(), "--steps=2");

    Ran trained = Ran.of(args);
    assertThat(trained.exitCode()).as(trained.err()).isZero();
    assertThat(trained.err())
        .contains("was trained with --clip-skip 2 --max-token-length 150, so it draws");
    assertThat(parameters(file)).endsWith(", Clip skip: 2, Max token length: 150");

    List<String> more = new ArrayList<>(args);
    more.addAll(List.of("--clip-skip=1", "--max-token-length=75"));
    Ran told = Ran.of(more);
    assertThat(told.err()).contains("--max-token-length 150\n").doesNotContain("so it draws");
    assertThat(parameters(file)).endsWith(", Clip skip: 1");
  }

  @Test
  void shouldDrawTheUsualSizeOfASeedThatItPrints() throws IOException {
    Ran ran = generate();

    assertThat(ran.out()).containsPattern("seed \\d+");
    assertThat(read(folder.resolve("out.png")).getWidth()).isEqualTo(64);
  }

  @ParameterizedTest
  @CsvSource({
    "--width, 30, 2, must be multiples of 4",
    "--steps, -1, 2, steps must be from 1 to 1000",
    "--steps, many, 2, Invalid value",
    "--sampler, eulr, 2, there are ddpm",
    "--clip-skip, 9, 2, clip_skip is 9",
    "--max-token-length, 100, 2, 'max_token_length is 100, allowed is one of [75, 150, 225]'",
    "--steps, 2000000000, 2, steps must be from 1 to 1000",
    "-n, 0, 2, the number of pictures must be from 1 to 1000",
    "-n, 100000, 2, the number of pictures must be from 1 to 1000",
    "--guidance, NaN, 2, 'the guidance must be a number up to 1000, found NaN'",
    "--guidance, Infinity, 2, 'the guidance must be a number up to 1000, found Infinity'",
    "--guidance, -1e300, 2, the guidance must be a number up to 1000",
    "--width, 100000000, 2, at most those of 4096 x 4096",
    "--width, -64, 2, pictures have at least one pixel",
    "--height, 0, 2, pictures have at least one pixel",
    "--variant, fp16, 3, variant fp16",
    "--latents, nowhere.safetensors, 3, is not there",
  })
  void shouldRefuse(String option, String value, int exitCode, String message) throws IOException {
    Ran ran = generate(option, value);

    assertThat(ran.err()).contains(message).doesNotContain("\tat ");
    assertThat(ran.exitCode()).isEqualTo(exitCode);
    assertThat(written()).isEmpty();
  }

  @Test
  void shouldNotDrawWhatCannotBeWritten() throws IOException {
    Path taken = Files.writeString(folder.resolve("taken"), "no folder");
    Ran ran = Ran.of("generate", MODEL, PROMPT, "-o", taken.resolve("x.png").toString());
    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.err()).contains("x.png: cannot be written").doesNotContain("generate 1/");
  }

  @Test
  void shouldRefusePicturesOfMorePixelsThanTrainingHas() throws IOException {
    Ran ran = generate("--width", "100000", "--height", "100000");
    assertThat(ran.err()).contains("at most those of 4096 x 4096");
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(written()).isEmpty();
  }

  @Test
  void shouldRefuseMorePicturesThanMemoryHoldsBeforeItBegins() throws IOException {
    Ran ran = generate("-n", "1000", "--width", "4096", "--height", "4096");
    assertThat(ran.err())
        .containsPattern("the pictures need [\\d.]+ GB of memory by a plan, and .* are available")
        .contains("ask for smaller or for fewer at once");
    assertThat(ran.exitCode()).isEqualTo(4);
    assertThat(written()).isEmpty();
  }

  @Test
  void shouldRefuseLatentsOfAnotherShapeOrSize() throws IOException {
    Path latents = folder.resolve("latents.safetensors");
    try (Arena arena = Arena.open("test")) {
      Tensor flat = arena.zeros("latents", DType.F32, 4, 8, 8);
      new SafetensorsWriter().add("latents", flat).write(arena, latents);
      assertThat(generate("--latents", latents.toString()).err())
          .contains("expected latents of shape [n, 4, height, width], found F32[4, 8, 8]");
      new SafetensorsWriter().add("latents", flat.reshaped(1, 4, 8, 8)).write(arena, latents);
    }
    Ran ran = generate("--latents", latents.toString(), "--width", "64");
    assertThat(ran.err()).contains("holds latents of 1 pictures of 32x32");
    assertThat(ran.exitCode()).isEqualTo(2);
    Files.delete(latents);
    assertThat(written()).isEmpty();
  }

  @Test
  void shouldRefuseAModelThatIsNotThere() {
    Ran ran = Ran.of("generate", "no/such/model", PROMPT);

    assertThat(ran.exitCode()).isEqualTo(3);
    assertThat(ran.err()).contains("no/such/model: expected a model folder or file, found nothing");
  }

  @Test
  void shouldNameThePicturesInAFolderForTheSeed() throws IOException {
    Ran ran = Ran.of("generate", MODEL, PROMPT, "-o", folder.toString(), "--steps=1", "--seed=7");
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(written()).containsExactly(folder.resolve("7.png"));
  }

  @Test
  void shouldMakeTheFolderAndNameTheModelsOwnSampler() throws IOException {
    Path made = folder.resolve("out/m");
    Ran ran =
        Ran.of("generate", MODEL, PROMPT, "-o", made.toString(), "-n=2", "--steps=1", "--seed=7");
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    try (Stream<Path> files = Files.list(made)) {
      assertThat(files.map(each -> each.getFileName().toString()))
          .containsExactlyInAnyOrder("7.png", "7-1.png", "7-2.png");
    }
    assertThat(parameters(made.resolve("7-2.png")))
        .contains(", Sampler: DDPM, ", ", Model: model, ", ", Batch size: 2, Batch pos: 1");
  }

  /** Diffusers' names, in either spelling. */
  @Test
  void shouldTakeTheNamesOfDiffusers() throws IOException {
    Path file = folder.resolve("out.png");
    Ran ran =
        Ran.of(
            "generate",
            MODEL,
            PROMPT,
            "--output=" + file,
            "--negative_prompt=dog",
            "--num-inference-steps",
            "3",
            "--guidance_scale",
            "2.5",
            "--max_token_length=150",
            "--seed=7");
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(parameters(file))
        .contains("Negative prompt: dog", "Steps: 3, ", "CFG scale: 2.5", "Max token length: 150");
  }

  @ParameterizedTest
  @ValueSource(strings = {"out.jpg", "out.gif", "a.b/out.webp"})
  void shouldSayWhatToGiveForAnotherKindOfFile(String name) throws IOException {
    Ran ran = Ran.of("generate", MODEL, PROMPT, "-o", folder.resolve(name).toString());
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains(name, "give a file that ends in .png, or a folder");
    assertThat(written()).isEmpty();
  }

  private List<Path> written() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }

  private static BufferedImage read(Path file) throws IOException {
    return ImageIO.read(file.toFile());
  }

  /** The largest difference of two samples. */
  private static int furthest(BufferedImage a, BufferedImage b) {
    int furthest = 0;
    for (int y = 0; y < b.getHeight(); y++) {
      for (int x = 0; x < b.getWidth(); x++) {
        for (int shift = 0; shift < 24; shift += 8) {
          int difference = (a.getRGB(x, y) >> shift & 0xFF) - (b.getRGB(x, y) >> shift & 0xFF);
          furthest = Math.max(furthest, Math.abs(difference));
        }
      }
    }
    return furthest;
  }

  /** What the web UIs read of how a picture was drawn. */
  static String parameters(Path file) throws IOException {
    ImageReader reader = ImageIO.getImageReadersByFormatName("png").next();
    try (ImageInputStream in = ImageIO.createImageInputStream(file.toFile())) {
      reader.setInput(in);
      Element root = (Element) reader.getImageMetadata(0).getAsTree("javax_imageio_1.0");
      Element entry = (Element) root.getElementsByTagName("TextEntry").item(0);
      assertThat(entry.getAttribute("keyword")).isEqualTo("parameters");
      return entry.getAttribute("value");
    }
  }
}
