package dreambooth4j.verify;

import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

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
  private final ModelSource folder;
  private final StableDiffusion model;

  /** Loads the model, all of it trainable. */
  public Verifier(ModelSource folder) {
    this.folder = folder;
    StableDiffusion loaded;
    try {
      List<Component> trained = new ArrayList<>(folder.pipeline().textEncoders());
      trained.add(Component.UNET);
      loaded = StableDiffusion.load(run, folder, trained.toArray(Component[]::new));
    } catch (RuntimeException e) {
      run.close();
      throw e;
    }
    model = loaded;
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
      return new Report("tokenizer", TokenizerCase.run(model.tokenizer(), file));
    }
    if (!Golden.isCase(file)) {
      return new Report("single file", SingleFileCase.run(folder, file));
    }
    try (Golden golden = Golden.open(file);
        Arena arena = run.child("case")) {
      String component = golden.setting("component").asText();
      switch (component) {
        case "unet" -> UNetCase.run(arena, model, golden);
        case "text_encoder", "text_encoder_2" -> TextEncoderCase.run(arena, model, golden);
        case "prompts" -> PromptsCase.run(arena, model, golden);
        case "train_text_encoders" -> TextTrainingCase.run(arena, model, golden);
        case "picture" -> PictureCase.run(arena, model, golden);
        case "vae" -> VaeCase.run(arena, model, golden);
        case "schedulers" -> SamplersCase.run(arena, golden);
        case "adamw", "optimizer" -> OptimizerCase.run(arena, golden);
        case "train" -> TrainCase.run(arena, model, golden);
        default -> throw golden.notUnderstood("component " + component);
      }
      return new Report(component, golden.checks());
    }
  }

  @Override
  public void close() {
    model.close();
    run.close();
  }
}
