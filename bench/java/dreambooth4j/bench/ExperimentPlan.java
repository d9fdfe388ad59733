package dreambooth4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * What an experiment trains and measures: every subject in every cell, for every seed.
 *
 * @param base path of the base model, relative to the plan's file
 * @param measuredAt steps after which a run is measured; the last ends it
 * @param train keys of {@code dreambooth train} that all runs share
 * @param bleed options of {@code dreambooth bleed}
 * @param controls prompts of what the base model draws well and no caption names; a cell may have
 *     others
 * @param subjects keys of each subject, whose pictures lie in {@code subjects/NAME}
 * @param untouched keys of the cell that learns nothing
 * @param cells keys of each cell, and its {@code name} in figures
 * @param baseWords captions of the base model's training that hold a word; none where it is not
 *     named
 */
record ExperimentPlan(
    String base,
    List<Long> seeds,
    List<Integer> measuredAt,
    Map<String, Object> train,
    Map<String, Object> bleed,
    List<String> controls,
    Map<String, Map<String, Object>> subjects,
    Map<String, Object> untouched,
    Map<String, Map<String, Object>> cells,
    Map<String, Integer> baseWords) {
  /** The cell that learns nothing. */
  static final String UNTOUCHED = "untouched";

  private static final String NAME = "name";
  private static final String CONTROLS = "controls";
  private static final String CLASS_PROMPT = "class_prompt";

  /** One training. */
  record Run(String subject, String cell, long seed) {
    @Override
    public String toString() {
      return "%s/%s-%d".formatted(subject, cell, seed);
    }
  }

  /**
   * Reads a plan.
   *
   * @throws Problem if it is none
   */
  static ExperimentPlan read(Path file) {
    try {
      Object yaml = new Load(LoadSettings.builder().build()).loadFromString(Files.readString(file));
      return new ObjectMapper()
          .setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .convertValue(yaml, ExperimentPlan.class);
    } catch (IOException e) {
      throw Problem.data("%s cannot be read: %s".formatted(file, Problem.why(e)));
    } catch (YamlEngineException | IllegalArgumentException e) {
      throw Problem.data("%s is no plan of an experiment: %s".formatted(file, e.getMessage()));
    }
  }

  /** All trainings, seed by seed and cell by cell: what is done so far can be compared. */
  List<Run> runs() {
    List<Run> runs = new ArrayList<>();
    for (long seed : seeds) {
      subjects.keySet().forEach(subject -> runs.add(new Run(subject, UNTOUCHED, seed)));
      for (String cell : cells.keySet()) {
        subjects.keySet().forEach(subject -> runs.add(new Run(subject, cell, seed)));
      }
    }
    return runs;
  }

  /** A cell's name in figures. */
  String name(String cell) {
    return String.valueOf(of(cells, cell).get(NAME));
  }

  /** How many class images a picture a cell has and at which weight, for a figure: "4 at 0.15". */
  String amount(String cell) {
    Map<String, Object> keys = of(cells, cell);
    if (Boolean.FALSE.equals(keys.get("with_prior_preservation"))) {
      return "none";
    }
    Object weight = keys.get("prior_loss_weight");
    return keys.containsKey(CLASS_PROMPT)
        ? name(cell) + " at " + weight
        : keys.get("num_class_images_per") + " at " + weight;
  }

  /** Prompts that a cell's models are asked for beside words of captions: its own or the plan's. */
  List<String> controls(String cell) {
    Object own = cells.getOrDefault(cell, Map.of()).get(CONTROLS);
    return own instanceof List<?> list ? list.stream().map(String::valueOf).toList() : controls;
  }

  /** What a subject's model is asked to draw: {@code what} is class or subject. */
  String prompt(String subject, String what) {
    Map<String, Object> keys = of(subjects, subject);
    String type = String.valueOf(keys.get("class_token"));
    return what.equals("class") ? type : keys.get("instance_token") + ", " + type;
  }

  /** Steps of a run. */
  int steps() {
    return measuredAt.get(measuredAt.size() - 1);
  }

  /**
   * The configuration of a training.
   *
   * @param folder the plan's
   * @param work where trainings lie
   */
  Map<String, Object> config(Run run, Path folder, Path work) {
    Map<String, Object> keys = keys(run);
    Map<String, Object> subject = of(subjects, run.subject);
    if (keys.get(CLASS_PROMPT) instanceof String prompt) {
      keys.put(CLASS_PROMPT, prompt.replace("[class]", String.valueOf(subject.get("class_token"))));
    }
    keys.put("pretrained_model_name_or_path", folder.resolve(base).normalize().toString());
    keys.put("instance_data_dir", folder.resolve("subjects").resolve(run.subject).toString());
    keys.put("class_data_dir", work.resolve(classFolder(run, keys)).toString());
    keys.put("cache_dir", work.resolve("cache").toString());
    keys.put("output_dir", output(run, work).toString());
    keys.put("seed", run.seed);
    keys.put("max_train_steps", steps());
    keys.put("save_model_every", measuredAt.get(0));
    keys.put("validation_steps", 0);
    keys.put("checkpointing_steps", 0);
    return keys;
  }

  private static Map<String, Object> of(Map<String, Map<String, Object>> all, String name) {
    return Objects.requireNonNull(all.get(name), name);
  }

  private Map<String, Object> keys(Run run) {
    Map<String, Object> keys = new LinkedHashMap<>(train);
    keys.putAll(of(subjects, run.subject));
    keys.putAll(run.cell.equals(UNTOUCHED) ? untouched : of(cells, run.cell));
    keys.keySet().removeAll(List.of(NAME, CONTROLS));
    return keys;
  }

  /** Where a training leaves its model. */
  static Path output(Run run, Path work) {
    return work.resolve(run.subject).resolve(run.cell + "-" + run.seed);
  }

  /** Cells whose class images are of the same prompts and number share them. */
  private static String classFolder(Run run, Map<String, Object> keys) {
    return "class-images/%s-%s%s-%d"
        .formatted(
            run.subject,
            keys.getOrDefault("num_class_images_per", 0),
            keys.containsKey(CLASS_PROMPT) ? "-one-prompt" : "",
            run.seed);
  }

  /** The folder or file of what was learnt after so many steps. */
  Path model(Run run, int step, Path work) {
    Path output = output(run, work);
    Path folder = step == steps() ? output : output.resolve("model-" + step);
    boolean lora = Boolean.TRUE.equals(keys(run).get("use_lora"));
    String token = String.valueOf(of(subjects, run.subject).get("instance_token"));
    return lora ? folder.resolve(token + ".safetensors") : folder;
  }
}
