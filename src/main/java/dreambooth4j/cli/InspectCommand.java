package dreambooth4j.cli;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.data.CropBox;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.Picture;
import dreambooth4j.pipeline.LongPrompts;
import dreambooth4j.prior.ClassImagePlan;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
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
  @Mixin private final ConfigArguments arguments = new ConfigArguments();

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
    Config config = arguments.read();
    List<Concept> concepts = Concept.scanAll(config);
    ClassImagePlan plan = ClassImagePlan.of(config, concepts);
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
    LongPrompts.notesOf(config, concepts, plan.pools(), Integer.MAX_VALUE).forEach(err::println);
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
