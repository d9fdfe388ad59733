package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.weights.LoraUse;
import java.nio.file.Files;
import java.nio.file.Path;
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
          "LoRA file that is added to the model, of kohya's, diffusers' or peft's naming, and how"
              + " many times its changes are added: 0.7 is 70 %% of them (1). May be given several"
              + " times.")
  private final List<LoraUse> uses = new ArrayList<>();

  /** In the order of the command line. */
  List<LoraUse> uses() {
    return uses;
  }

  /** Takes a name as it is where such a file is there, for it may hold a colon. */
  static final class Converter implements ITypeConverter<LoraUse> {
    @Override
    public LoraUse convert(String text) {
      int colon = text.lastIndexOf(':');
      if (colon < 0 || Files.exists(Main.path(text))) {
        return new LoraUse(Main.path(text), 1);
      }
      String weight = text.substring(colon + 1);
      Path file = Main.path(text.substring(0, colon));
      try {
        return new LoraUse(file, Double.parseDouble(weight));
      } catch (Problem e) {
        throw new TypeConversionException(e.getMessage());
      } catch (NumberFormatException e) {
        if (Files.exists(file)) {
          throw new TypeConversionException(
              "'%s' is no weight of the LoRA %s: give a number, such as 0.7"
                  .formatted(weight, file));
        }
        return new LoraUse(Main.path(text), 1);
      }
    }
  }
}
