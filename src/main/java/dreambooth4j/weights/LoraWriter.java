package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongToDoubleFunction;
import java.util.function.Supplier;

/**
 * Writes adapters that have trained as LoRA files: {@code NAME.safetensors} in kohya's naming with
 * A1111's {@code NAME.json} and {@code NAME.png} beside it, and {@code pytorch_lora_weights
 * .safetensors} for diffusers, as asked for. All of them appear, or none.
 */
public final class LoraWriter implements Export {
  /** What diffusers looks for in a folder. */
  private static final String FOR_DIFFUSERS = "pytorch_lora_weights.safetensors";

  /**
   * How they are written.
   *
   * @param name of the file, without its ending
   * @param namings one or both
   * @param type what the factors are held in, F32, F16 or BF16
   */
  public record Form(String name, Set<LoraNaming> namings, DType type) {
    /** At least one naming. */
    public Form {
      namings = Set.copyOf(namings);
      if (namings.isEmpty() || !type.isFloat()) {
        throw new IllegalArgumentException("no naming, or no type of a LoRA: " + type);
      }
    }
  }

  private final LoraNames names;
  private final BaseKind kind;
  private final boolean velocity;
  private final Form form;
  private final LongToDoubleFunction alphas;
  private final Supplier<LoraCard> card;

  /**
   * A writer of adapters around the layers of {@code base}.
   *
   * @param alphas the alpha of an adapter of a rank
   * @param card what the file says of itself, asked for when it is written
   */
  public LoraWriter(
      ModelSource base, Form form, LongToDoubleFunction alphas, Supplier<LoraCard> card) {
    this.names = new LoraNames(ModelLayers.of(base));
    this.velocity = SaidPrediction.isVelocity(base);
    this.kind = BaseKind.of(base, velocity);
    this.form = form;
    this.alphas = alphas;
    this.card = card;
  }

  @Override
  public Path result(Path output) {
    return output.resolve(
        form.namings.contains(LoraNaming.KOHYA) ? form.name + ".safetensors" : FOR_DIFFUSERS);
  }

  @Override
  public void hand(
      NewFiles files, Arena arena, List<Group> groups, Map<String, String> notes, Path output) {
    LoraContents contents = LoraContents.of(groups, alphas);
    LoraMetadata metadata = new LoraMetadata(card.get(), kind, velocity);
    if (form.namings.contains(LoraNaming.KOHYA)) {
      files.add(output.resolve(form.name + ".json"), StagedFiles.Body.of(metadata.sidecar()));
      LoraCard.Picture picture = metadata.picture();
      if (picture != null) {
        files.add(output.resolve(form.name + ".png"), picture.png());
      } else {
        files.reserve(output.resolve(form.name + ".png"));
      }
    }
    for (LoraNaming naming : EnumSet.copyOf(form.namings)) {
      SafetensorsWriter writer = naming.writer(contents, names, form.type, metadata, arena);
      notes.forEach(writer::metadata);
      String file = naming == LoraNaming.DIFFUSERS ? FOR_DIFFUSERS : form.name + ".safetensors";
      files.add(output.resolve(file), writer.body(arena));
    }
  }
}
