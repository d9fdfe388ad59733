package dreambooth4j.cli;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.weights.Conversion;
import dreambooth4j.weights.ModelForm;
import dreambooth4j.weights.ModelSource;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes a model in another form. */
@Command(
    name = "convert",
    mixinStandardHelpOptions = true,
    description =
        "Writes a model in another form: a folder as one file for ComfyUI and the web UIs, a file"
            + " as a folder for diffusers, either with numbers of another precision.",
    footer = {
      "",
      "IN stays as it is, and OUT must not be there yet. One tensor at a time is in memory. OUT"
          + " appears when it is complete. It converts whole models: a LoRA file is given to"
          + " generate --lora, or written into a model by merge.",
      "",
      "  dreambooth convert output/dog dog.safetensors --dtype fp16",
      "  dreambooth convert v1-5-pruned.ckpt sd15",
      "  dreambooth convert old.ckpt new.safetensors"
    })
final class ConvertCommand implements Callable<Integer> {
  private static final long MEGABYTE = 1_000_000;

  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli, as all that follows
  private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "IN",
      description =
          "The model: a .safetensors or .ckpt file, a diffusers folder, or a name in the Hugging"
              + " Face cache.")
  @SuppressWarnings("NullAway.Init")
  private String input;

  @Parameters(
      index = "1",
      paramLabel = "OUT",
      description = "What is written: a file if it ends in .safetensors, else a folder.")
  @SuppressWarnings("NullAway.Init")
  private Path output;

  @Option(
      names = "--to",
      paramLabel = "FORMAT",
      description = "diffusers for a folder, or safetensors for one file (as OUT ends).")
  private ModelForm.@Nullable Format format;

  @Option(
      names = "--dtype",
      description = "Precision of the weights in OUT: fp32, fp16 or bf16 (as they are in IN).")
  private @Nullable Precision precision;

  @Option(
      names = "--variant",
      description = "Which of several sets of weights of a folder, such as fp16.")
  private @Nullable String variant;

  @Mixin private final SingleFileOptions single = new SingleFileOptions();

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    ModelSource model = ModelSource.find(input, single.with(variant));
    model.notes().forEach(each -> err.println(Printable.text(each)));
    err.flush();
    ModelForm.Format wanted = format == null ? Conversion.formatOf(output) : format;
    if (wanted == ModelForm.Format.SAFETENSORS
        && Conversion.formatOf(output) != ModelForm.Format.SAFETENSORS) {
      throw Problem.usage(
          "--to safetensors: OUT %s does not end in .safetensors, by which programs know such files"
              .formatted(output));
    }
    Conversion conversion =
        new Conversion(model, output, wanted, precision == null ? null : precision.type());
    StableDiffusion.requireFit(model);
    run(conversion, "convert", out);
    return 0;
  }

  /** Runs a conversion, shows how far it is, and says what was written. */
  static void run(Conversion conversion, String task, PrintWriter out) {
    long bytes = conversion.bytes();
    int total = (int) Math.max(1, bytes / MEGABYTE);
    PrintStream err = System.err;
    try (ProgressLine line =
        ProgressLine.ofMegabytes(err, task, total, ProgressLine.Terminal.current())) {
      long[] written = {0};
      conversion.run(
          more -> {
            written[0] += more;
            line.at((int) Math.min(total - 1, written[0] / MEGABYTE));
          });
      line.at(total); // what is forced to the disk is there now
    }
    out.printf("%s: %s of weights%n", conversion.output(), ProcessMemory.shown(bytes));
    out.flush();
  }
}
