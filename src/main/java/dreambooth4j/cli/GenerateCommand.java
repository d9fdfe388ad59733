package dreambooth4j.cli;

import dreambooth4j.Printable;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.FloatType;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.Generation;
import dreambooth4j.pipeline.NewWords;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.Wildcards;
import dreambooth4j.report.PictureFiles;
import dreambooth4j.report.PictureParameters;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.weights.MergedModel;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.StagedFiles;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Makes pictures of a prompt. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    description = "Draws pictures of a prompt with a model.",
    footer = {
      "",
      "One picture is written to OUT. Of several, OUT is their grid, and the single pictures lie"
          + " beside it: out.png, out-1.png, out-2.png ... If OUT is a folder, they are named for"
          + " the seed there: 7.png, 7-1.png ...",
      "The same seed gives the picture that diffusers gives with"
          + " torch.Generator(\"cpu\").manual_seed(seed) and num_images_per_prompt=n.",
      "",
      "  dreambooth generate weights/sprites64 \"robot, red hat\" -o robot.png -n 4",
      "  dreambooth generate sd15 \"sks dog\" --lora dog.safetensors:0.8",
      "  dreambooth generate sd15 \"a photo of <my-cat>\" --embedding my-cat.safetensors"
    })
final class GenerateCommand implements Callable<Integer> {
  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli, as all that follows
  private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description = "The model: a diffusers folder, or a single .safetensors or .ckpt file.")
  @SuppressWarnings("NullAway.Init")
  private String model;

  @Parameters(index = "1", paramLabel = "PROMPT", description = "What to draw.")
  @SuppressWarnings("NullAway.Init")
  private String prompt;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT",
      defaultValue = "out.png",
      description = "PNG file (${DEFAULT-VALUE} if not given), or a folder, which is made.")
  @SuppressWarnings("NullAway.Init")
  private Path output;

  @Option(
      names = {"-n", "--num_images_per_prompt"},
      paramLabel = "N",
      description = "Number of pictures to draw (1 if not given).")
  private @Nullable Integer count;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Seed of the noise (if not given, a random one, which is printed).")
  private @Nullable Long seed;

  @Option(
      names = {"--steps", "--num_inference_steps"},
      paramLabel = "STEPS",
      defaultValue = "50",
      description = "Number of sampler steps: more take longer (${DEFAULT-VALUE} if not given).")
  private int steps;

  @Option(
      names = {"--guidance", "--guidance_scale"},
      paramLabel = "X",
      defaultValue = "7.5",
      description =
          "Guidance scale: how closely pictures follow the prompt, usually 5 to 10"
              + " (${DEFAULT-VALUE} if not given); 1 turns classifier-free guidance off and is"
              + " twice as fast.")
  private double guidance;

  @Option(
      names = {"--guidance-rescale", "--guidance_rescale"},
      paramLabel = "X",
      defaultValue = "0",
      description =
          "Guidance rescale, from 0 to 1: keeps guidance from making pictures too bright and"
              + " contrasty (${DEFAULT-VALUE} if not given, which is off; 0.7 is usual for models"
              + " of zero terminal SNR).")
  private double rescale;

  @Option(
      names = "--sampler",
      paramLabel = "NAME",
      completionCandidates = SamplerNames.class,
      description =
          "Sampler that draws: one of ${COMPLETION-CANDIDATES}, or the name that diffusers or"
              + " A1111 has for it"
              + " (the model's own if not given).")
  private @Nullable String sampler;

  @Option(
      names = "--width",
      paramLabel = "PIXELS",
      description = "Width of the pictures (that which the model was trained on if not given).")
  private @Nullable Integer width;

  @Option(
      names = "--height",
      paramLabel = "PIXELS",
      description = "Height of the pictures (that which the model was trained on if not given).")
  private @Nullable Integer height;

  @Option(
      names = {"--negative", "--negative_prompt"},
      paramLabel = "PROMPT",
      description =
          "Negative prompt: what not to draw; needs guidance above 1 (none if not given, which SDXL"
              + " treats differently from an empty text).")
  private @Nullable String negative;

  @Option(
      names = "--latents",
      paramLabel = "FILE",
      description =
          "A safetensors file with a tensor 'latents' [n,4,h,w] that sampling starts from, instead"
              + " of noise from the seed.")
  private @Nullable Path latents;

  @Mixin private final ModelFlags flags = new ModelFlags();

  @Mixin private final LoraOption lora = new LoraOption();

  @Mixin private final EmbeddingOption embeddings = new EmbeddingOption();

  @Option(
      names = "--clip-skip",
      paramLabel = "N",
      description =
          "Text encoder layer whose output conditions the UNet, counted from the end: 1 is the"
              + " last, or for SDXL the second to last (if not given, what the model was trained"
              + " with by this program, else 1).")
  private @Nullable Integer clipSkip;

  @Option(
      names = "--max-token-length",
      paramLabel = "TOKENS",
      description =
          "Maximum length of a prompt, 75, 150 or 225 tokens; what is longer is cut off (if not"
              + " given, what the model was trained with by this program, else 75).")
  private @Nullable Integer maxTokenLength;

  @Option(
      names = "--prompt-weights",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description =
          "Weight words in prompts as A1111's web UI does: (word:1.2) by 1.2, (word) by 1.1, [word]"
              + " by 1/1.1; a backslash makes the next bracket plain text, --no-prompt-weights all"
              + " brackets.")
  private boolean promptWeights;

  @Option(
      names = "--wildcards",
      paramLabel = "FOLDER",
      description =
          "Folder of wildcard files: __colour__ in a prompt is replaced by a line of colour.txt in"
              + " it. {red|blue} is replaced by one of the words between the bars. The seed"
              + " decides, and the resulting prompt is printed.")
  private @Nullable Path wildcards;

  @Option(
      names = "--device",
      paramLabel = "NAME",
      defaultValue = "auto",
      description = "Device to compute on: auto, cpu or cuda (${DEFAULT-VALUE} if not given).")
  @SuppressWarnings("NullAway.Init")
  private ComputeConfig.Target device;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      description =
          "Precision of weights and computation: fp32, or bf16 or fp16 for half the memory; a VAE"
              + " of SDXL that would overflow stays in fp32 (if not given, fp32 on a CPU, and on"
              + " CUDA the type in the model's file).")
  private @Nullable FloatType precision;

  @Option(
      names = {"--vae-tiling", "--enable_vae_tiling"},
      description =
          "Decode pictures of more than 512 pixels a side in tiles, which needs less memory; colours"
              + " change a little from tile to tile.")
  private boolean tiled;

  /** What --sampler takes, for its help. */
  static final class SamplerNames implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return Arrays.stream(SamplerKind.values()).map(SamplerKind::label).iterator();
    }
  }

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    long chosenSeed = seed == null ? new SecureRandom().nextInt(Integer.MAX_VALUE) : seed;
    Path file = PictureFiles.place(output, chosenSeed);
    StagedFiles.requireWritable(file);
    ModelSource base = flags.find(model);
    try (MergedModel merged = MergedModel.of(base, lora.uses())) {
      draw(merged, file, chosenSeed, out);
    }
    out.println("seed " + chosenSeed);
    out.flush();
    return 0;
  }

  private void draw(ModelSource bare, Path file, long chosenSeed, PrintWriter out) {
    ModelSource folder = embeddings.in(bare);
    Device where = Devices.choose(device, false);
    DType usual = where == Device.CPU ? DType.F32 : Generation.typeOf(folder);
    Generation.ImageRequest wanted =
        new Generation.ImageRequest(
            drawnPrompt(prompt, chosenSeed, 0, out),
            negative == null ? null : drawnPrompt(negative, chosenSeed, 1, out),
            count,
            width,
            height,
            steps,
            guidance,
            rescale,
            sampler == null ? null : SamplerKind.named(sampler),
            encoding(folder),
            chosenSeed,
            latents,
            where,
            tiled,
            precision == null ? usual : Devices.typeOf(precision));
    Generation.Drawn drawn;
    PrintStream err = System.err;
    try (ProgressLine line =
        new ProgressLine(err, "generate", steps, ProgressLine.Terminal.current())) {
      // Some samplers take a step more than they were asked for.
      folder.notes().forEach(line::say);
      NewWords.notes(bare, folder.embeddings(), prompts(wanted)).forEach(line::say);
      drawn = Generation.draw(folder, wanted, line::say, step -> line.at(Math.min(step, steps)));
    }
    String name = String.valueOf(folder.path().toAbsolutePath().normalize().getFileName());
    PictureParameters how =
        new PictureParameters(
            drawn.request(), drawn.sampler(), wanted.encoding(), chosenSeed, name, lora.uses(), -1);
    PictureFiles.write(file, drawn.pictures(), how).forEach(out::println);
  }

  private static List<String> prompts(Generation.ImageRequest wanted) {
    String negative = wanted.negative();
    return negative == null ? List.of(wanted.prompt()) : List.of(wanted.prompt(), negative);
  }

  private String drawnPrompt(String written, long chosenSeed, int row, PrintWriter out) {
    String drawn = Wildcards.drawn(written, wildcards, chosenSeed, row);
    if (!drawn.equals(written)) {
      out.println((row == 0 ? "prompt " : "negative ") + Printable.line(drawn));
    }
    return drawn;
  }

  /** As asked for, else as the model was trained; where the latter tells, it is said. */
  private TextEncoding encoding(ModelSource folder) {
    TextEncoding trained = TextEncoding.ofTrained(folder);
    TextEncoding chosen =
        new TextEncoding(
            clipSkip == null ? trained.clipSkip() : clipSkip,
            maxTokenLength == null ? trained.maxTokenLength() : maxTokenLength);
    if (!trained.equals(TextEncoding.USUAL)) {
      spec.commandLine()
          .getErr()
          .printf(
              "%s was trained with --clip-skip %d --max-token-length %d%s%n",
              model,
              trained.clipSkip(),
              trained.maxTokenLength(),
              chosen.equals(trained) ? ", so it draws" : "");
    }
    return chosen.weighted(promptWeights);
  }
}
