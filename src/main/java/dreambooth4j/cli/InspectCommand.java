package dreambooth4j.cli;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.data.Concept;
import dreambooth4j.data.CropBox;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.Picture;
import dreambooth4j.prior.ClassImagePlan;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Shows what a run would do with its pictures, before anything runs. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    modelTransformer = ConfigFlags.class,
    customSynopsis = "dreambooth inspect [CONFIG] [--KEY VALUE]...",
    description =
        "Shows the plan: for each picture a line of file, bucket, instance prompt and class"
            + " caption, separated by tabs; then which class images are there and which are"
            + " missing.",
    footer = {
      "",
      "Examples:",
      "  dreambooth inspect config.yaml",
      "  dreambooth inspect config.yaml --num_class_images_per 4",
      "  dreambooth inspect --instance_data_dir photos --instance_token sks --class_token dog"
    },
    sortOptions = false)
public final class InspectCommand implements Callable<Integer> {
  @Parameters(arity = "0..1", paramLabel = "CONFIG", description = "A YAML or JSON file.")
  @Nullable Path config;

  @Option(
      names = "--boxes",
      description = "Below each picture, show how it is scaled and where it is cropped.")
  boolean boxes;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    ConfigReader.Reading reading = ConfigReader.read(config, ConfigFlags.given(spec));
    reading.notes().forEach(err::println);
    List<Concept> concepts = Concept.scanAll(reading.config());
    ClassImagePlan plan = ClassImagePlan.of(reading.config(), concepts);
    for (Concept concept : concepts) {
      for (Picture picture : concept.pictures()) {
        picture.variants().forEach(variant -> out.println(line(variant)));
        if (boxes) {
          out.println("    " + box(concept.config(), picture));
        }
      }
      concept.notes().forEach(err::println);
    }
    out.println();
    ClassImageTable.print(out, plan);
    ClassImageTable.printSkipped(err, plan);
    out.flush();
    err.flush();
    return 0;
  }

  private static String line(Picture picture) {
    // Captions hold no tab: their blanks were collapsed.
    return String.join(
        "\t",
        ClassImageTable.shown(picture.file()).replaceAll("[\t\r\n]", " "),
        picture.bucket().toString(),
        picture.instancePrompt(),
        picture.classCaption());
  }

  private static String box(ConceptConfig concept, Picture picture) {
    ImageReader.Size size = ImageReader.size(picture.file());
    CropBox box = CropBox.of(size, picture.bucket(), concept.crop());
    String enlarged = box.scale() > 1 ? ", enlarged" : "";
    String random = concept.crop().random() ? ", in training anywhere" : "";
    return box + enlarged + random;
  }
}
