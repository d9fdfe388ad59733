package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.DataConfig;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Concept;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.Picture;
import dreambooth4j.data.Pixels;
import dreambooth4j.evaluate.Bleed;
import dreambooth4j.evaluate.BleedOptions;
import dreambooth4j.evaluate.BleedResult;
import dreambooth4j.evaluate.Probe;
import dreambooth4j.evaluate.Subject;
import dreambooth4j.evaluate.Trained;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.VisionFolder;
import dreambooth4j.report.BleedFiles;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.weights.ModelSource;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Measures what a training changed besides the subject. */
@Command(
    name = "bleed",
    mixinStandardHelpOptions = true,
    description =
        "Measures what a training changed besides the subject: the class, the words of the"
            + " captions, words like the class, and unrelated prompts.",
    footer = {
      "",
      "Both models predict from the same prompts and the same noise, with one model at a time in"
          + " memory. OUT gets bleed.json with all numbers and bleed.png with pictures of each"
          + " prompt by both. docs/bleed.md explains the numbers.",
      "",
      "  dreambooth bleed sd15 out config.yaml",
      "  dreambooth bleed sd15 out/dog.safetensors config.yaml --pictures 0 --seeds 8",
      "  dreambooth bleed sd15 out --subject \"sks dog\" --class dog --prompt beach --prompt cat"
    })
final class BleedCommand implements Callable<Integer> {
  /** Of more, some tell as much. */
  private static final int MOST_INSTANCES = 16;

  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli, as all that follows
  private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "BASE",
      description = "The model before the training: a diffusers folder, or a single file.")
  @SuppressWarnings("NullAway.Init")
  private String base;

  @Parameters(
      index = "1",
      paramLabel = "TRAINED",
      description =
          "The result of the training: a diffusers folder, a single file, a LoRA file, or an"
              + " embedding.")
  @SuppressWarnings("NullAway.Init")
  private String trained;

  @Parameters(
      index = "2",
      arity = "0..1",
      paramLabel = "CONFIG",
      description =
          "Configuration of the run, from which the subject, its class and the captions are read.")
  private @Nullable Path config;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT",
      defaultValue = "bleed",
      description = "Folder for bleed.json and bleed.png (${DEFAULT-VALUE} if not given).")
  @SuppressWarnings("NullAway.Init")
  private Path output;

  @Option(
      names = "--concept",
      paramLabel = "NAME",
      description = "Which of several concepts of CONFIG (the first if not given).")
  private @Nullable String concept;

  @Option(
      names = "--subject",
      paramLabel = "PROMPT",
      description = "The prompt that names the subject (what CONFIG says if not given).")
  private @Nullable String subject;

  @Option(
      names = "--class",
      paramLabel = "PROMPT",
      description = "The prompt that names its class (what CONFIG says if not given).")
  private @Nullable String classPrompt;

  @Option(
      names = "--prompt",
      paramLabel = "PROMPT",
      description = "Another prompt to measure. May be given several times.")
  private final List<String> prompts = new ArrayList<>();

  @Option(
      names = "--words",
      paramLabel = "N",
      defaultValue = "6",
      description =
          "Maximum number of frequent and of rare words of the captions to measure"
              + " (${DEFAULT-VALUE} if not given).")
  private int words;

  @Option(
      names = "--neighbours",
      paramLabel = "N",
      defaultValue = "4",
      description =
          "Maximum number of words like the class to measure (${DEFAULT-VALUE} if not given).")
  private int neighbours;

  @Option(
      names = "--controls",
      paramLabel = "N",
      defaultValue = "6",
      description =
          "Maximum number of unrelated prompts to measure (${DEFAULT-VALUE} if not given); set 0 to"
              + " measure only your own, given by --prompt.")
  private int controls;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      defaultValue = "4",
      description =
          "Number of noise samples for each prompt: more make the intervals narrower"
              + " (${DEFAULT-VALUE} if not given).")
  private int seeds;

  @Option(
      names = "--timesteps",
      paramLabel = "N",
      defaultValue = "6",
      description =
          "Number of timesteps at which each prompt is measured (${DEFAULT-VALUE} if not"
              + " given).")
  private int timesteps;

  @Option(
      names = "--pictures",
      paramLabel = "N",
      defaultValue = "4",
      description =
          "Number of pictures of each prompt that each model draws; 0 draws none, which takes a"
              + " fraction of the time (${DEFAULT-VALUE} if not given).")
  private int pictures;

  @Option(
      names = "--pictures-of",
      paramLabel = "KIND",
      split = ",",
      description =
          "Draw only prompts of these kinds, and the subject's: ${COMPLETION-CANDIDATES} (all if"
              + " not given). Pictures take most of the time.")
  private Set<Probe.Kind> picturesOf = EnumSet.allOf(Probe.Kind.class);

  @Option(
      names = "--steps",
      paramLabel = "STEPS",
      defaultValue = "20",
      description = "Number of sampler steps for each picture (${DEFAULT-VALUE} if not given).")
  private int steps;

  @Option(
      names = "--guidance",
      paramLabel = "X",
      defaultValue = "7.5",
      description =
          "Guidance scale: how closely the pictures follow their prompt (${DEFAULT-VALUE}"
              + " if not given).")
  private double guidance;

  @Option(
      names = "--features",
      paramLabel = "FOLDER",
      description =
          "Folder of a CLIP or DINOv2 model (config.json, preprocessor_config.json,"
              + " model.safetensors, as Hugging Face has them), by whose features pictures are"
              + " compared too.")
  private @Nullable Path features;

  @Option(
      names = "--size",
      paramLabel = "PIXELS",
      description =
          "Width and height in pixels of what is predicted and drawn (if not given, resolution of"
              + " CONFIG, else the model's own).")
  private @Nullable Integer size;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "Seed of the first noise (${DEFAULT-VALUE} if not given).")
  private long seed;

  @Mixin private final ModelFlags flags = new ModelFlags();

  @Mixin private final EmbeddingOption embeddings = new EmbeddingOption();

  @Option(
      names = "--device",
      paramLabel = "NAME",
      defaultValue = "auto",
      description = "Device to compute on: auto, cpu or cuda (${DEFAULT-VALUE} if not given).")
  @SuppressWarnings("NullAway.Init")
  private ComputeConfig.Target device;

  @Override
  public Integer call() {
    requireBounds();
    Config run = config == null ? null : ConfigReader.read(config, Map.of()).config();
    Concept trainedConcept = run == null ? null : concept(run);
    Subject asked = subject(trainedConcept);
    PrintWriter err = spec.commandLine().getErr();
    ModelSource from =
        ModelFlags.said(Trained.base(PathArgument.of(base).toString(), flags.options()), err);
    BleedOptions how = options(run);
    try (Trained left = Trained.open(from, PathArgument.of(trained).toString(), flags.options())) {
      ModelSource to = embeddings.in(left.source());
      TextEncoding encoding =
          run == null ? TextEncoding.ofTrained(to) : TextEncoding.of(run.model());
      List<Picture> real = trainedConcept == null ? List.of() : trainedConcept.pictures();
      BleedResult result = measure(from, to, encoding, asked, how, real);
      print(result);
    }
    return 0;
  }

  private void requireBounds() {
    require("--seeds", seeds, 1, 1000);
    require("--timesteps", timesteps, 1, 100);
    require("--pictures", pictures, 0, 100);
    require("--steps", steps, 1, 1000);
    require("--words", words, 0, 1000);
    require("--neighbours", neighbours, 0, 1000);
    require("--controls", controls, 0, 1000);
    require("--size", size == null ? 64 : size, 8, DataConfig.MOST_RESOLUTION);
    if (features != null && pictures == 0) {
      throw Problem.usage(
          "--features compares pictures, and --pictures 0 draws none: leave out one of the two");
    }
    if (!(Math.abs(guidance) <= 1000)) {
      throw Problem.usage("--guidance must be a number up to 1000, found " + guidance);
    }
  }

  private static void require(String name, int value, int least, int most) {
    if (value < least || value > most) {
      throw Problem.usage("%s must be from %d to %d, found %d".formatted(name, least, most, value));
    }
  }

  private Concept concept(Config run) {
    List<Concept> all = Concept.scanAll(run);
    if (concept == null) {
      return all.get(0);
    }
    return all.stream()
        .filter(each -> each.config().name().equals(concept))
        .findFirst()
        .orElseThrow(
            () ->
                Problem.usage(
                    "--concept: %s has no concept called '%s'; its concepts are %s"
                        .formatted(
                            config,
                            concept,
                            String.join(
                                ", ", all.stream().map(each -> each.config().name()).toList()))));
  }

  /** As CONFIG says, but for what is said here. */
  private Subject subject(@Nullable Concept of) {
    Subject known = of == null ? null : Subject.of(of, prompts);
    String named = subject != null ? subject : known == null ? null : known.prompt();
    if (named == null) {
      throw Problem.usage(
          "the subject is not known: give the run's CONFIG after TRAINED, or --subject PROMPT");
    }
    String itsClass =
        classPrompt != null ? classPrompt : known == null ? null : known.classPrompt();
    return new Subject(named, itsClass, known == null ? List.of() : known.captions(), prompts);
  }

  private BleedOptions options(@Nullable Config run) {
    Integer side = size != null ? size : run == null ? null : run.data().resolution();
    return new BleedOptions(
        seed,
        seeds,
        timesteps,
        pictures,
        picturesOf,
        steps,
        guidance,
        features == null ? null : VisionFolder.open(features),
        side == null ? null : new Bucket(side / 8 * 8, side / 8 * 8),
        Devices.choose(device, false));
  }

  private BleedResult measure(
      ModelSource from,
      ModelSource to,
      TextEncoding encoding,
      Subject asked,
      BleedOptions how,
      List<Picture> real) {
    Subject.Extent extent = new Subject.Extent(words, neighbours, controls);
    List<Picture> some = real.subList(0, Math.min(MOST_INSTANCES, real.size()));
    int most = asked.most(extent);
    int total = Bleed.asked(most, how);
    PrintStream err = System.err; // closing the line leaves it open
    try (ProgressLine line =
        new ProgressLine(err, "bleed", total, ProgressLine.Terminal.current())) {
      Bleed bleed = new Bleed(from, to, encoding, how, done -> line.at(Math.min(done, total)));
      String lack = bleed.lackOfRoom(bleed.memory(most));
      if (lack != null) {
        throw new Problem(
            Problem.Kind.MEMORY,
            "the measurement was not begun: %s. Ask for smaller pictures or for fewer at once (--size, --seeds, --pictures 0)"
                .formatted(lack));
      }
      return bleed.measure(model -> asked.probes(model, extent), bucket -> read(some, bucket));
    }
  }

  private static List<Pixels> read(List<Picture> pictures, Bucket size) {
    return pictures.stream().map(each -> ImageReader.read(each.file(), size)).toList();
  }

  private void print(BleedResult result) {
    PrintWriter out = spec.commandLine().getOut();
    BleedFiles.table(result, features).forEach(out::println);
    Map<String, Object> about = new LinkedHashMap<>();
    about.put("base", base);
    about.put("trained", trained);
    about.put("seed", seed);
    about.put("guidance", guidance);
    about.put("steps", steps);
    if (features != null) {
      about.put("features", features.toString());
    }
    BleedFiles.write(output, result, about).forEach(out::println);
    out.flush();
  }
}
