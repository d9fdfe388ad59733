package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.weights.Conversion;
import dreambooth4j.weights.MergedModel;
import dreambooth4j.weights.ModelForm;
import dreambooth4j.weights.ModelSource;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes a model with LoRAs in its weights. */
@Command(
    name = "merge",
    mixinStandardHelpOptions = true,
    description =
        "Writes a model with LoRAs in its weights: it draws as MODEL with these LoRAs, and needs"
            + " none of them.",
    footer = {
      "",
      "MODEL stays as it is, and OUT must not be there yet. One tensor at a time is in memory. OUT"
          + " appears when it is complete.",
      "",
      "  dreambooth merge sd15 --lora dog.safetensors:0.8 -o sd15-dog",
      "  dreambooth merge sdxl.safetensors --lora dog.safetensors -o dog-xl.safetensors"
    })
final class MergeCommand implements Callable<Integer> {
  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli, as all that follows
  private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description =
          "The model: a .safetensors or .ckpt file, a diffusers folder, or a name in the Hugging"
              + " Face cache.")
  @SuppressWarnings("NullAway.Init")
  private String model;

  @Mixin private final LoraOption lora = new LoraOption();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT",
      required = true,
      description = "What is written: a file if it ends in .safetensors, else a folder.")
  @SuppressWarnings("NullAway.Init")
  private Path output;

  @Mixin private final WrittenModel written = new WrittenModel();

  @Mixin private final ModelFlags flags = new ModelFlags();

  @Override
  public Integer call() {
    if (lora.uses().isEmpty()) {
      throw Problem.usage(
          "nothing to merge: give a LoRA with --lora FILE. To write the model in another form use"
              + " convert.");
    }
    PrintWriter out = spec.commandLine().getOut();
    ModelSource base = flags.find(model, spec.commandLine().getErr());
    try (MergedModel merged = MergedModel.of(base, lora.uses())) {
      ModelForm.Format format = Conversion.formatOf(output);
      WrittenModel.run(written.conversion(merged, output, format), "merge", out);
      out.printf("%d layers changed%n", merged.changedLayers());
    }
    out.flush();
    return 0;
  }
}
