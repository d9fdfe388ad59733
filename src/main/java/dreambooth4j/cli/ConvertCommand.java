package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Conversion;
import dreambooth4j.weights.LoraConversion;
import dreambooth4j.weights.LoraFile;
import dreambooth4j.weights.LoraNaming;
import dreambooth4j.weights.ModelForm;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.PublishedModel;
import dreambooth4j.weights.WholeOutput;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes a model, or a LoRA, in another form. */
@Command(
    name = "convert",
    mixinStandardHelpOptions = true,
    description =
        "Writes a model in another form: a folder as one file for ComfyUI and the web UIs, a file"
            + " as a folder for diffusers, either with numbers of another precision. Writes a LoRA"
            + " file with the names that other programs look for.",
    footer = {
      "",
      "IN stays as it is, and OUT must not be there yet. One tensor at a time is in memory. OUT"
          + " appears when it is complete. To write a LoRA into a model use merge.",
      "",
      "  dreambooth convert output/dog dog.safetensors --dtype fp16",
      "  dreambooth convert v1-5-pruned.ckpt sd15",
      "  dreambooth convert old.ckpt new.safetensors",
      "  dreambooth convert pytorch_lora_weights.safetensors dog.safetensors",
      "  dreambooth convert dog.safetensors pytorch_lora_weights.safetensors --naming diffusers"
    })
final class ConvertCommand implements Callable<Integer> {
  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli, as all that follows
  private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "IN",
      description =
          "The model: a .safetensors or .ckpt file, a diffusers folder, or a name in the Hugging"
              + " Face cache. Or a LoRA file, of whatever naming.")
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
      description =
          "Form of a model: diffusers for a folder, safetensors for one file (if not given, by the"
              + " end of OUT).")
  private ModelForm.@Nullable Format format;

  @Option(
      names = "--naming",
      paramLabel = "NAMING",
      description =
          "Names in a LoRA file: kohya, which ComfyUI, the web UIs and InvokeAI load, or diffusers"
              + " (kohya if not given).")
  private @Nullable LoraNaming naming;

  @Mixin private final WrittenModel written = new WrittenModel();

  @Mixin private final ModelFlags flags = new ModelFlags();

  @Override
  public Integer call() {
    Path lora = Path.of(input);
    if (LoraFile.isOne(lora)) {
      convertLora(lora);
    } else {
      convertModel();
    }
    return 0;
  }

  private void convertModel() {
    if (naming != null) {
      throw Problem.usage(
          "--naming is for LoRA files, and %s is none: leave it out".formatted(input));
    }
    PrintWriter out = spec.commandLine().getOut();
    ModelSource model = flags.find(input, spec.commandLine().getErr());
    ModelForm.Format wanted = format == null ? Conversion.formatOf(output) : format;
    if (wanted == ModelForm.Format.SAFETENSORS) {
      requireEnding("--to safetensors: ");
    }
    Conversion conversion = written.conversion(model, output, wanted);
    StableDiffusion.requireFit(model);
    WrittenModel.run(conversion, "convert", out);
  }

  /** What it is for is found by its names and shapes. */
  private void convertLora(Path lora) {
    if (format != null) {
      throw Problem.usage(
          "--to is for models, and %s is a LoRA: use --naming kohya or --naming diffusers"
              .formatted(lora));
    }
    requireEnding("IN %s is a LoRA: ".formatted(lora));
    WholeOutput.requireFree(output);
    Path config = flags.config();
    List<ModelSource> models =
        config == null
            ? PublishedModel.all()
            : List.of(ModelSource.find(config.toString(), ModelOptions.NONE));
    LoraNaming wanted = naming == null ? LoraNaming.KOHYA : naming;
    try (LoraConversion conversion = LoraConversion.open(lora, models, StableDiffusion::layers)) {
      conversion.write(output, wanted, written.type());
      PrintWriter out = spec.commandLine().getOut();
      out.printf(
          "%s: a LoRA of %s, in the naming of %s%n",
          output, conversion.summary(), wanted.name().toLowerCase(Locale.ROOT));
      out.flush();
    }
  }

  private void requireEnding(String why) {
    if (Conversion.formatOf(output) != ModelForm.Format.SAFETENSORS) {
      throw Problem.usage(
          "%sOUT %s does not end in .safetensors, by which programs know such files"
              .formatted(why, output));
    }
  }
}
