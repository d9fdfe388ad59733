package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.LongConsumer;

/**
 * Writes a model, trained or only read: as a diffusers folder under the names that {@code
 * from_pretrained} looks for when no variant is asked for, as a single file under the original
 * names, or both. What trained is written in F32, under the names and in the layout that the base
 * model has, and everything else as it is in the base model, unless all is to be of one type.
 */
public final class ModelWriter implements Export {
  private final ModelSource base;
  private final ModelForm form;
  private final LongConsumer progress;

  /** A writer of folders that takes from {@code base} what was not trained. */
  public ModelWriter(ModelSource base) {
    this(base, ModelForm.FOLDER);
  }

  /** A writer that takes from {@code base} what was not trained. */
  public ModelWriter(ModelSource base, ModelForm form) {
    this(base, form, bytes -> {});
  }

  /** The folder; without one, the single file in it. */
  @Override
  public Path result(Path output) {
    return form.has(ModelForm.Format.DIFFUSERS) ? output : singleFile(output);
  }

  /**
   * As {@link #ModelWriter(ModelSource, ModelForm)}; {@code progress} is told how many bytes more
   * of tensors are written.
   */
  public ModelWriter(ModelSource base, ModelForm form, LongConsumer progress) {
    this.base = base;
    this.form = form;
    this.progress = progress;
  }

  /** The single file of a model in a folder, which is named as the folder is. */
  public static Path singleFile(Path folder) {
    Path name = folder.toAbsolutePath().normalize().getFileName();
    return folder.resolve((name == null ? "model" : name) + ".safetensors");
  }

  /**
   * Hands out the base model itself as a single file of this name.
   *
   * @throws Problem when the model cannot be read or the file cannot be taken
   */
  void handFile(NewFiles files, Arena arena, Path file) {
    try (OriginalTensors tensors = originals(Map.of())) {
      files.add(file, single(tensors, Map.of(), file).body(arena));
    }
  }

  /** Hands out the model with the groups' weights, as they are saved, instead of the base's. */
  @Override
  public void hand(
      NewFiles files, Arena arena, List<Group> groups, Map<String, String> notes, Path output) {
    Map<Component, Group> trained = new EnumMap<>(Component.class);
    groups.forEach(group -> trained.put(group.component(), group));
    if (form.has(ModelForm.Format.SAFETENSORS)) {
      Path file = singleFile(output);
      try (OriginalTensors tensors = originals(trained)) {
        files.add(file, single(tensors, notes, file).body(arena));
      }
    }
    if (!form.has(ModelForm.Format.DIFFUSERS)) {
      return;
    }
    Set<Component> written = EnumSet.noneOf(Component.class);
    written.addAll(trained.keySet());
    if (form.type() != null || groups.isEmpty()) {
      written.addAll(base.pipeline().components());
    }
    for (Component component : written) {
      try (TensorSource source = source(component, trained)) {
        SafetensorsWriter writer =
            new SafetensorsWriter().add(source, form.type()).progress(progress);
        notes(source).forEach(writer::metadata);
        if (trained.containsKey(component)) {
          new TreeMap<>(notes).forEach(writer::metadata);
        }
        files.add(
            output.resolve(component.folder()).resolve(component.weightsFile(null)),
            writer.body(arena));
      }
    }
    base.copyTo(files, output, written);
  }

  /** What a model's UNet says of how it was trained. */
  static Map<String, String> notesOf(ModelSource model) {
    if (!model.hasWeights(Component.UNET)) {
      return Map.of();
    }
    try (TensorSource unet = model.weights(Component.UNET)) {
      return notes(unet);
    }
  }

  /** What is known of how the weights were trained, which decides how they are to be used. */
  static Map<String, String> notes(TensorSource source) {
    Map<String, String> notes = new TreeMap<>(source.metadata());
    notes.keySet().removeIf(key -> !key.startsWith("ss_"));
    return notes;
  }

  /** A component's tensors as they are to be written, under the names of the base model's files. */
  private TensorSource source(Component component, Map<Component, Group> trained) {
    TensorSource own = base.weights(component);
    Group group = trained.get(component);
    if (group == null) {
      return own;
    }
    try (own) {
      return new GroupTensors(base.path(), group, WeightNames.fileNames(component, own));
    }
  }

  /** All parts under their original names. */
  private OriginalTensors originals(Map<Component, Group> trained) {
    Family family = Family.of(base);
    OriginalTensors tensors = new OriginalTensors(base.path());
    try {
      for (Component each : base.pipeline().components()) {
        OriginalPart part = family.part(each, base.config(each), base.where(each));
        tensors.add(each, part, source(each, trained));
      }
      tensors.requireWhole();
      return tensors;
    } catch (RuntimeException e) {
      tensors.close();
      throw e;
    }
  }

  /** The file's metadata are those that Stability AI's standard asks for, and our notes. */
  private SafetensorsWriter single(OriginalTensors tensors, Map<String, String> notes, Path file) {
    boolean velocity = SaidPrediction.isVelocity(base);
    String title = String.valueOf(file.getFileName()).replaceFirst("\\.safetensors$", "");
    SafetensorsWriter writer =
        new SafetensorsWriter()
            .add(tensors, form.type())
            .progress(progress)
            .metadata("modelspec.sai_model_spec", "1.0.0")
            .metadata("modelspec.architecture", BaseKind.of(base, velocity).architecture())
            .metadata(
                "modelspec.implementation", "https://github.com/Stability-AI/generative-models")
            .metadata("modelspec.title", title)
            .metadata("modelspec.prediction_type", velocity ? "v" : "epsilon");
    if (velocity && base.pipeline() == Pipeline.STABLE_DIFFUSION_XL) {
      writer.mark(SaidPrediction.VELOCITY_MARK);
    }
    if (velocity
        && base.config(Component.SCHEDULER).path(FamilyConfigs.ZERO_TERMINAL).asBoolean()) {
      writer.mark(SaidPrediction.ZERO_TERMINAL_MARK);
    }
    notesOf(base).forEach(writer::metadata);
    new TreeMap<>(notes).forEach(writer::metadata);
    return writer;
  }
}
