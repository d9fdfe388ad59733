package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.config.FloatType;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.weights.LoraExtraction;
import dreambooth4j.weights.LoraNaming;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.StagedFiles;
import dreambooth4j.weights.WholeOutput;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes the difference of two models as a LoRA. */
@Command(
    name = "extract",
    mixinStandardHelpOptions = true,
    description =
        "Writes the difference of two models as a LoRA: a small file that makes BASE nearly what"
            + " TRAINED is.",
    footer = {
      "",
      "Both models stay as they are, and FILE must not be there yet; it appears when it is"
          + " complete. Prints how much of the difference FILE holds: a higher --rank holds more.",
      "",
      "  dreambooth extract sd15 output/dog --rank 32 -o dog.safetensors"
    })
final class ExtractCommand implements Callable<Integer> {
  private static final int MOST_RANK = 4096;

  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli, as all that follows
  private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "BASE",
      description = "The model before it was trained: a diffusers folder or a single file.")
  @SuppressWarnings("NullAway.Init")
  private String base;

  @Parameters(
      index = "1",
      paramLabel = "TRAINED",
      description = "The same model after it was trained: a diffusers folder or a single file.")
  @SuppressWarnings("NullAway.Init")
  private String trained;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      required = true,
      description = "The LoRA file to write; its name ends in .safetensors.")
  @SuppressWarnings("NullAway.Init")
  private Path output;

  @Option(
      names = {"--rank", "--dim"},
      paramLabel = "N",
      defaultValue = "32",
      description =
          "Rank of the LoRA (${DEFAULT-VALUE} if not given). A higher one makes a larger file that"
              + " holds more of the difference.")
  private int rank;

  @Option(
      names = "--naming",
      defaultValue = "kohya",
      description =
          "How the file names its layers: kohya, which ComfyUI and the web UIs load, or diffusers"
              + " (${DEFAULT-VALUE}).")
  @SuppressWarnings("NullAway.Init")
  private LoraNaming naming;

  @Option(
      names = "--dtype",
      defaultValue = "fp16",
      description = "Precision of the LoRA's numbers: fp32, fp16 or bf16 (${DEFAULT-VALUE}).")
  @SuppressWarnings("NullAway.Init")
  private FloatType precision;

  @Mixin private final ModelFlags flags = new ModelFlags();

  @Override
  public Integer call() {
    if (rank < 1 || rank > MOST_RANK) {
      throw Problem.usage("--rank must be from 1 to %d, found %d".formatted(MOST_RANK, rank));
    }
    if (!output.toString().endsWith(".safetensors")) {
      throw Problem.usage(
          "-o %s: the name must end in .safetensors, by which programs know such files"
              .formatted(output));
    }
    WholeOutput.requireFree(output);
    StagedFiles.requireWritable(output);
    LoraExtraction extraction =
        new LoraExtraction(model(base), model(trained), rank, Devices.typeOf(precision));
    LoraExtraction.Result result;
    PrintStream err = System.err;
    try (Arena run = Arena.open("extract");
        ProgressLine line =
            new ProgressLine(
                err, "extract", extraction.tensors(), ProgressLine.Terminal.current())) {
      result = extraction.write(run, output, naming, line::at);
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(output);
    out.printf(
        Locale.ROOT,
        "%d layers; the LoRA holds %.1f %% of the difference%s%n",
        result.layers(),
        100 * result.kept(),
        result.others() == 0
            ? ""
            : ", without %d biases, norms and outer layers, which no LoRA holds"
                .formatted(result.others()));
    out.flush();
    return 0;
  }

  /** A model; where the other is a single file, what describes that is not for a folder. */
  private ModelSource model(String name) {
    PrintWriter err = spec.commandLine().getErr();
    boolean isFolder = !isFile(name) && (isFile(base) || isFile(trained));
    return isFolder ? flags.findFolder(name, err) : flags.find(name, err);
  }

  private static boolean isFile(String name) {
    return Files.isRegularFile(Path.of(name));
  }
}
