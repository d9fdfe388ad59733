package dreambooth4j.cli;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ModelConfig;
import dreambooth4j.data.Concept;
import dreambooth4j.data.CropBox;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.ImageSize;
import dreambooth4j.data.Picture;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.pipeline.LongPrompts;
import dreambooth4j.pipeline.Models;
import dreambooth4j.pipeline.NewWords;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.report.DataPage;
import dreambooth4j.report.DataReport;
import dreambooth4j.report.DataScan;
import dreambooth4j.report.Finding;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
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
            + " missing; then warnings: pictures that cannot be read, are too small or nearly the"
            + " same, prompts that are too long, captions that bind too much to the subject.",
    footer = {
      "",
      "The other keys of train are taken too: dreambooth train --help lists them.",
      "",
      "Examples:",
      "  dreambooth inspect config.yaml",
      "  dreambooth inspect config.yaml --html report.html",
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

  @Option(
      names = "--html",
      paramLabel = "FILE",
      description =
          "Write the whole plan with every picture to one HTML file that needs no other file.")
  @Nullable Path html;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    DataScan scan = DataScan.of(arguments.read());
    for (Concept concept : scan.concepts()) {
      for (Picture picture : concept.pictures()) {
        picture.variants().forEach(variant -> out.println(line(variant)));
        if (boxes) {
          out.println("    " + box(picture));
        }
      }
      concept.notes().forEach(note -> err.println(Printable.text(note)));
    }
    out.println();
    ClassImageTable.print(out, scan.plan());
    ClassImageTable.printSkipped(err, scan.plan());
    LongPrompts.notesOf(scan.config(), scan.concepts(), scan.plan().pools(), Integer.MAX_VALUE)
        .forEach(note -> err.println(Printable.text(note)));
    out.flush();
    err.flush();
    DataReport report = report(scan);
    printWarnings(out, report);
    if (html != null) {
      DataPage.write(report, html);
      out.println("Report: " + html);
    }
    out.flush();
    return report.refused().isEmpty() ? 0 : Problem.Kind.DATA.exitCode();
  }

  private DataReport report(DataScan scan) {
    ModelConfig model = scan.config().model();
    String name = model.pretrainedModelNameOrPath();
    TextEncoding how = TextEncoding.ofCaptions(scan.config());
    PrintStream err = System.err;
    ProgressLine.Terminal terminal = ProgressLine.Terminal.current();
    try (Tokenizer tokenizer = name == null ? null : tokenizer(scan.config());
        ProgressLine progress =
            new ProgressLine(err, "pictures", scan.pictures().size(), terminal)) {
      return DataReport.of(
          scan,
          tokenizer == null ? null : text -> tokenizer.count(how.words(text), how.windows()),
          html != null,
          done -> {
            if (terminal != null) {
              progress.at(done);
            }
          });
    }
  }

  /** The base model's; null if it cannot be had, which was said where long prompts are. */
  private static @Nullable Tokenizer tokenizer(Config config) {
    try {
      ModelSource base = Models.find(config.model());
      return Tokenizer.open(
          base.files(Component.TOKENIZER), NewWords.tokens(base, config.embedding()));
    } catch (Problem e) {
      return null;
    }
  }

  private static void printWarnings(PrintWriter out, DataReport report) {
    List<Finding> findings =
        report.findings().stream()
            .filter(finding -> finding.kind() != Finding.Kind.LONG_PROMPT) // said above, of all
            .toList();
    out.println();
    if (findings.isEmpty()) {
      out.println("Warnings: none");
      return;
    }
    out.println("Warnings");
    for (Finding finding : findings) {
      out.println("- " + Printable.line(finding.line(ClassImageTable::shown)));
    }
  }

  private static String line(Picture picture) {
    return String.join(
        "\t",
        ClassImageTable.shown(picture.file()),
        picture.bucket().toString(),
        Printable.line(picture.instancePrompt()),
        Printable.line(picture.classCaption()));
  }

  private static String box(Picture picture) {
    ImageSize size = ImageReader.size(picture.file());
    CropBox box = CropBox.of(size, picture.bucket(), picture.crop());
    String enlarged = box.scale() > 1 ? ", enlarged" : "";
    String random = picture.crop().random() ? ", in training anywhere" : "";
    return box + enlarged + random;
  }
}
