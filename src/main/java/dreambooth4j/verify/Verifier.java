package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Runs recorded cases through our models. */
public final class Verifier implements AutoCloseable {
  /** What came of one case. */
  public record Report(String component, List<Check> checks) {
    /** Whether every comparison is within its limit. */
    public boolean passes() {
      return checks.stream().allMatch(Check::passes);
    }

    /** The comparison that comes closest to its limit or is furthest beyond. */
    public Check worst() {
      return checks.stream().max(Comparator.comparingDouble(Check::shareOfLimit)).orElseThrow();
    }
  }

  private final Arena run = Arena.open("verify");
  private final @Nullable ModelSource folder;
  private final @Nullable StableDiffusion loaded;

  /** Loads the model, all of it trainable; null for cases that need none. */
  public Verifier(@Nullable ModelSource folder) {
    this.folder = folder;
    try {
      loaded = folder == null ? null : load(folder);
    } catch (RuntimeException e) {
      run.close();
      throw e;
    }
  }

  private StableDiffusion load(ModelSource folder) {
    List<Component> trained = new ArrayList<>(folder.pipeline().textEncoders());
    trained.add(Component.UNET);
    return StableDiffusion.load(run, folder, trained.toArray(Component[]::new));
  }

  /** Whether a file is a recorded case, rather than a model. */
  public static boolean isCase(Path file) {
    String name = String.valueOf(file.getFileName());
    return name.endsWith(".json") || (name.endsWith(".safetensors") && Golden.isCase(file));
  }

  private StableDiffusion model() {
    return needed(loaded);
  }

  private ModelSource source() {
    return needed(folder);
  }

  private static <T> T needed(@Nullable T ofModel) {
    if (ofModel == null) {
      throw Problem.usage("this case is of a model: give the model's folder before it");
    }
    return ofModel;
  }

  /**
   * Runs one case.
   *
   * @param file a case of {@code .safetensors}, the texts and token numbers of a {@code .json}, or
   *     the model itself in a single file
   * @throws dreambooth4j.Problem when it is not understood, or something recorded is not computed
   *     here
   */
  public Report verify(Path file) {
    if (file.toString().endsWith(".json")) {
      JsonNode rows = rows(file);
      return ScheduleCases.are(rows.get(0))
          ? new Report("schedules", ScheduleCases.run(rows))
          : new Report("tokenizer", TokenizerCase.run(model().tokenizer(), file, rows));
    }
    if (!Golden.isCase(file)) {
      return new Report("single file", SingleFileCase.run(source(), file));
    }
    try (Golden golden = Golden.open(file);
        Arena arena = run.child("case")) {
      String component = golden.setting("component").asText();
      switch (component) {
        case "unet" -> UNetCase.run(arena, model(), golden);
        case "text_encoder", "text_encoder_2" -> TextEncoderCase.run(arena, model(), golden);
        case "prompts" -> PromptsCase.run(arena, model(), golden);
        case "train_text_encoders" -> TextTrainingCase.run(arena, model(), golden);
        case "picture" -> PictureCase.run(arena, model(), golden);
        case "lora_files" -> LoraFilesCase.run(arena, source(), golden);
        case "vae" -> VaeCase.run(arena, model(), golden);
        case "schedulers" -> SamplersCase.run(arena, golden);
        case "adamw", "optimizer" -> OptimizerCase.run(arena, golden);
        case "objective" -> ObjectiveCase.run(arena, golden);
        case "timesteps" -> TimestepCase.drawn(arena, golden);
        case "timestep_weights" -> TimestepCase.weights(arena, golden);
        case "offset_psi" -> TimestepCase.offsetFactors(arena, golden);
        case "zero_terminal_snr" -> TimestepCase.zeroTerminal(arena, golden);
        case "train" -> TrainCase.run(arena, model(), golden);
        case "lora", "words" -> LoraCase.run(arena, source(), golden);
        default -> throw golden.notUnderstood("component " + component);
      }
      return new Report(component, golden.checks());
    }
  }

  private static JsonNode rows(Path file) {
    JsonNode rows;
    try {
      rows = new ObjectMapper().readTree(file.toFile());
    } catch (IOException e) {
      throw Problem.data(file + ": cannot be read: " + e.getMessage());
    }
    if (!rows.isArray() || rows.isEmpty()) {
      throw Problem.data(
          file + ": not understood: it is no list of texts and their token numbers, nor of tables");
    }
    return rows;
  }

  @Override
  public void close() {
    if (loaded != null) {
      loaded.close();
    }
    run.close();
  }
}
