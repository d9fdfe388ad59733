package dreambooth4j.cli;

import dreambooth4j.config.Config;
import dreambooth4j.config.ModelConfig;
import dreambooth4j.distributed.Launch;
import dreambooth4j.report.RunOutcome;
import dreambooth4j.weights.EmbeddingWriter;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What somebody may want after a run: where its pictures lie, and lines to paste into a shell. */
final class NextSteps {
  private static final Pattern PLAIN = Pattern.compile("[\\w@%+=:,./-]+");
  private static final String RESUME = "--resume_from_checkpoint";

  private NextSteps() {}

  /**
   * Prints it. Nothing is broken at the terminal's width: half a command line is another one.
   *
   * @param args the command line of the run
   * @param launch how its processes were started
   * @param complete whether the run did all its steps
   */
  static void print(
      PrintStream err,
      Config config,
      RunOutcome run,
      List<String> args,
      Launch launch,
      boolean complete) {
    Path output = config.output().outputDir();
    if (run.sampled()) {
      err.println("Samples: " + ClassImageTable.shown(output.resolve("samples")));
    }
    if (run.pageWritten()) {
      err.println("Class images: " + ClassImageTable.shown(output.resolve("class_images.html")));
    }
    Path result = run.result();
    if (result != null) {
      err.println("Draw with the model:");
      err.println("  " + shell(drawing(config, result, run)));
    }
    if (!complete) {
      printResumed(err, args, run.checkpointSaved(), launch);
    }
    err.flush();
  }

  /**
   * Prints the command line by which an interrupted run goes on, with as many ranks.
   *
   * @param args the command line of the run
   * @param fromCheckpoint false where it has left none and begins again
   * @param launch how this process was started
   */
  static void printResumed(
      PrintStream err, List<String> args, boolean fromCheckpoint, Launch launch) {
    String what = fromCheckpoint ? "Go on with the run" : "Begin again";
    err.println(what + (launch.byHand() ? ", with each rank started as before:" : ":"));
    List<String> again = new ArrayList<>(resumed(args, fromCheckpoint));
    again.addAll(launch.after());
    String before = launch.before().stream().map(each -> each + " ").collect(Collectors.joining());
    err.println("  " + before + shell(again));
    err.flush();
  }

  /** With the model's folder or file, or with the base model and the file of adapters. */
  private static List<String> drawing(Config config, Path result, RunOutcome run) {
    List<String> command = drawingWithoutWords(config, result, run);
    for (String word : config.embedding().words()) {
      Path file = EmbeddingWriter.file(config.output().outputDir(), word);
      command.addAll(1, List.of("--embedding", ClassImageTable.shown(file)));
    }
    return command;
  }

  private static List<String> drawingWithoutWords(Config config, Path result, RunOutcome run) {
    String shown = ClassImageTable.shown(result);
    if (result.equals(config.output().outputDir())) {
      return drawing(shown, run.prompt(), run.name());
    }
    String base = base(config.model());
    boolean lora = config.lora().used();
    boolean beside = lora || !config.trainsWeights();
    List<String> command = drawing(beside ? base : shown, run.prompt(), run.name());
    Path configurations = config.model().modelConfig();
    if (lora) {
      command.addAll(1, List.of("--lora", shown));
    }
    if (configurations != null) {
      command.addAll(1, List.of("--model_config", ClassImageTable.shown(configurations)));
    } else if (!beside && Files.isDirectory(Path.of(base))) {
      command.addAll(1, List.of("--model_config", base)); // its sizes may be none of the published
    }
    return command;
  }

  /** The command that measures what a run moved besides its subject. */
  static String measuring(Config config, Path result) {
    ModelConfig model = config.model();
    List<String> command = new ArrayList<>(List.of("bleed", base(model)));
    command.add(ClassImageTable.shown(result));
    command.add(ClassImageTable.shown(config.output().outputDir().resolve("config.yaml")));
    Path configurations = model.modelConfig();
    if (configurations != null) {
      command.addAll(List.of("--model_config", ClassImageTable.shown(configurations)));
    }
    if (model.predictionType() != null) {
      command.addAll(List.of("--prediction_type", model.predictionType()));
    }
    if (model.variant() != null) {
      command.addAll(List.of("--variant", model.variant()));
    }
    for (String word : config.embedding().words()) {
      Path file = EmbeddingWriter.file(config.output().outputDir(), word);
      if (!file.equals(result)) {
        command.addAll(List.of("--embedding", ClassImageTable.shown(file)));
      }
    }
    return shell(command);
  }

  private static String base(ModelConfig model) {
    Path path = Path.of(model.required());
    return path.isAbsolute() ? ClassImageTable.shown(path) : path.toString();
  }

  /** What begins with a hyphen must not be taken for an option. */
  static List<String> drawing(String folder, String prompt, String concept) {
    List<String> what = List.of(folder.startsWith("-") ? "./" + folder : folder, prompt);
    List<String> how = List.of("-o", pictureName(concept), "-n", "4");
    List<String> command = new ArrayList<>(List.of("generate"));
    if (prompt.startsWith("-")) {
      command.addAll(how);
      command.add("--");
      command.addAll(what);
    } else {
      command.addAll(what);
      command.addAll(how);
    }
    return command;
  }

  /** A file name that no shell and no command takes for anything else, an option least of all. */
  private static String pictureName(String concept) {
    String plain = concept.replaceAll("[^\\p{L}\\p{N}_]+", "-").replaceAll("^-|-$", "");
    return (plain.isEmpty() ? "picture" : plain) + ".png";
  }

  private static List<String> resumed(List<String> args, boolean fromCheckpoint) {
    List<String> again = new ArrayList<>();
    for (int i = 0; i < args.size(); i++) {
      if (fromCheckpoint && args.get(i).equals(RESUME)) {
        i++;
      } else if (!fromCheckpoint || !args.get(i).startsWith(RESUME + "=")) {
        again.add(args.get(i));
      }
    }
    if (fromCheckpoint) {
      again.addAll(List.of(RESUME, "latest"));
    }
    return again;
  }

  private static String shell(List<String> args) {
    String command = System.getProperty("dreambooth.command", "dreambooth");
    return quoted(command)
        + " "
        + args.stream().map(NextSteps::quoted).collect(Collectors.joining(" "));
  }

  private static String quoted(String word) {
    return PLAIN.matcher(word).matches() ? word : "'" + word.replace("'", "'\\''") + "'";
  }
}
