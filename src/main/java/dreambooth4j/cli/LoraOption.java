package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.config.WeightedLora;
import dreambooth4j.weights.LoraUse;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** LoRAs on a command line, each with its weight. */
final class LoraOption {
  @Option(
      names = "--lora",
      paramLabel = "FILE[:WEIGHT]",
      converter = Converter.class,
      description =
          "LoRA file to add to the model, with the names of kohya, diffusers or peft, and its"
              + " weight: 0.7 adds 70 %% of its changes (1 if not given). May be given several"
              + " times.")
  private final List<LoraUse> uses = new ArrayList<>();

  /** In the order of the command line. */
  List<LoraUse> uses() {
    return uses;
  }

  /** Reads one. */
  static final class Converter implements ITypeConverter<LoraUse> {
    @Override
    public LoraUse convert(String text) {
      try {
        WeightedLora given = WeightedLora.parse(text, PathArgument::of);
        return new LoraUse(given.file(), given.weight());
      } catch (Problem | IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
