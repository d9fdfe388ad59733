package dreambooth4j.cli;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.LongPrompts;
import dreambooth4j.pipeline.Models;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.prior.BaseModel;
import dreambooth4j.prior.ClassImageGenerator;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.prior.Forecast;
import dreambooth4j.report.ClassImageProgress;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.review.Review;
import dreambooth4j.review.ReviewMaker;
import dreambooth4j.web.ReviewServer;
import dreambooth4j.weights.ModelSource;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Shows which class images a run needs, and makes those that are missing. */
@Command(
    name = "class-images",
    mixinStandardHelpOptions = true,
    modelTransformer = ConfigFlags.class,
    customSynopsis = "dreambooth class-images [CONFIG] [--plan | --review] [--KEY VALUE]...",
    description =
        "Shows which class images a run needs, has and misses, for each concept, size and class"
            + " caption, and makes those that are missing with the base model. Beside each picture"
            + " lie its caption (.txt) and how it was made (.json).",
    footer = {
      "",
      "Ctrl-C stops after the images that are being drawn; started again, it makes the rest.",
      "The other keys of train are taken too: dreambooth train --help lists them.",
      "",
      "Examples:",
      "  dreambooth class-images config.yaml --plan",
      "  dreambooth class-images config.yaml --sample_batch_size 8",
      "  dreambooth class-images config.yaml --review --open"
    },
    sortOptions = false)
final class ClassImagesCommand implements Callable<Integer> {
  @Mixin private final ConfigArguments arguments = new ConfigArguments();

  @Option(
      names = "--plan",
      description = "Only show what is needed, there and missing, and how long it will take.")
  boolean planOnly;

  @ArgGroup(exclusive = false)
  private @Nullable ReviewOptions review;

  /** A page to look at them. */
  static final class ReviewOptions {
    @Option(
        names = "--review",
        required = true,
        description =
            "Open a page for the browser, on this machine only, that shows each instance picture"
                + " with its captions and its class images: keep, delete, make again, edit the"
                + " caption. Ctrl-C ends it.")
    boolean wanted;

    @Option(
        names = "--port",
        paramLabel = "N",
        description = "Port that the page is served at (any that is free if not given).")
    int port;

    @Option(names = "--open", description = "Open the page in the browser at once.")
    boolean open;
  }

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    if (planOnly && review != null) {
      throw Problem.usage(
          "--plan and --review cannot be used together: --plan only prints what is"
              + " needed, --review opens a page");
    }
    Config config = arguments.read();
    List<Concept> concepts = Concept.scanAll(config);
    concepts.forEach(concept -> concept.notes().forEach(err::println));
    ClassImagePlan plan = ClassImagePlan.of(config, concepts);
    ClassImageTable.print(out, plan);
    ClassImageTable.printSkipped(err, plan);
    LongPrompts.notesOf(config, concepts, plan.pools(), 5).forEach(err::println);
    out.flush();
    err.flush();
    if (review != null) {
      return review(review, config, concepts, plan);
    }
    String model = config.model().pretrainedModelNameOrPath();
    if (model == null && planOnly && plan.missing() > 0) {
      out.println(
          "The time that making them takes is not estimated without a base model: set"
              + " pretrained_model_name_or_path");
    }
    boolean complete = planOnly || plan.missing() == 0;
    if (complete && (model == null || plan.present() + plan.missing() == 0)) {
      return 0;
    }
    ModelSource base = Models.find(config.model());
    base.notes().forEach(each -> err.println(Printable.text(each)));
    String note = BaseModel.noteOfOthers(plan, base);
    if (note != null) {
      err.println(note);
      err.flush();
    }
    if (plan.missing() == 0) {
      return 0;
    }
    return planOnly ? forecast(config, base, plan) : generate(config, base, plan);
  }

  private int forecast(Config config, ModelSource base, ClassImagePlan plan) {
    try (Arena run = Devices.open("run", Devices.choose(config.compute()));
        StableDiffusion model = StableDiffusion.loadToDraw(run, base, config.compute())) {
      Forecast forecast =
          new ClassImageGenerator(config, base, model).forecast(run, plan, System::nanoTime);
      spec.commandLine()
          .getOut()
          .printf(
              "Making them takes about %s here: measured with one sampler step of %d at once at"
                  + " %s%n",
              forecast.inWords(), forecast.speed().pictures(), forecast.speed().bucket());
      return 0;
    }
  }

  private int review(
      ReviewOptions options, Config config, List<Concept> concepts, ClassImagePlan plan) {
    PrintWriter out = spec.commandLine().getOut();
    Invocation invocation = Invocation.of(spec);
    invocation.interrupt.listen("The review has ended; all changes made on its page are saved.");
    Review kept = new Review(config, concepts, plan);
    try (ReviewMaker maker = new ReviewMaker(config, kept);
        ReviewServer server = new ReviewServer(kept, concepts.size() > 1, options.port)) {
      out.printf(
          "%nReview: %s%nCtrl-C ends it; every change made on the page is saved at once.%n",
          server.address());
      out.flush();
      if (options.open) {
        Browser.open(server.address(), spec.commandLine().getErr());
      }
      invocation.interrupt.await();
    }
    return Interrupt.EXIT_CODE;
  }

  private int generate(Config config, ModelSource base, ClassImagePlan plan) {
    PrintStream err = System.err;
    Invocation invocation = Invocation.of(spec);
    invocation.interrupt.listen(
        "Stopping: class images that are not written yet can be made by a later run (kill -9 %d ends it at once) ...");
    try (Arena run = Devices.open("run", Devices.choose(config.compute()));
        StableDiffusion model = StableDiffusion.loadToDraw(run, base, config.compute());
        ClassImageProgress progress =
            new ClassImageProgress(err, ProgressLine.Terminal.current())) {
      new ClassImageGenerator(config, base, model)
          .generate(run, plan, progress, invocation.interrupt::requested);
      return invocation.interrupt.requested() ? Interrupt.EXIT_CODE : 0;
    }
  }
}
