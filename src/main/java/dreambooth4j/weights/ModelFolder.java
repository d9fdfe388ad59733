package dreambooth4j.weights;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A Stable Diffusion model in diffusers' layout, written by either generation of transformers. */
public final class ModelFolder implements ModelSource {
  static final String INDEX = "model_index.json";
  static final String SEE = "See weights/README.md.";

  private final Path path;
  private final @Nullable String variant;
  private final ObjectNode index;
  private final Pipeline pipeline;
  private final Map<Component, String> fingerprints = new EnumMap<>(Component.class);

  private ModelFolder(Path path, @Nullable String variant) {
    this.path = path;
    this.variant = variant;
    this.index = JsonFile.read(path.resolve(INDEX));
    this.pipeline = kind(path.resolve(INDEX), index);
  }

  private static Pipeline kind(Path file, ObjectNode index) {
    String name = index.path("_class_name").asText(Pipeline.STABLE_DIFFUSION.className());
    return Pipeline.named(name)
        .orElseThrow(
            () ->
                Problem.data(
                    "%s: _class_name is %s, which is not trained here, only %s"
                        .formatted(
                            file,
                            name,
                            Arrays.stream(Pipeline.values())
                                .map(Pipeline::className)
                                .collect(Collectors.joining(" and ")))));
  }

  /**
   * Opens a folder that has a {@code model_index.json}.
   *
   * @throws Problem when it has none, or it is of a kind that is not trained here
   */
  public static ModelFolder open(Path path, @Nullable String variant) {
    if (FolderChanges.isPending(path)) {
      throw Problem.data(
          "%s: a run is putting a model there, or was killed while it did. If none is running, start one with output_dir %s (with --resume_from_checkpoint latest it goes on): it finishes that first."
              .formatted(path, FileLocks.runFolder(path)));
    }
    if (Files.notExists(path.resolve(INDEX), LinkOption.NOFOLLOW_LINKS)) {
      throw Problem.data(
          "%s: expected a diffusers folder with a %s, found none. %s".formatted(path, INDEX, SEE));
    }
    ModelFolder folder = new ModelFolder(path, variant);
    if (variant != null
        && Arrays.stream(Component.values()).noneMatch(c -> folder.hasWeights(c, variant))) {
      throw Problem.data("%s: expected weights of variant %s, found none".formatted(path, variant));
    }
    return folder;
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public Pipeline pipeline() {
    return pipeline;
  }

  @Override
  public boolean hasZeroNegative() {
    return pipeline == Pipeline.STABLE_DIFFUSION_XL
        && index.path("force_zeros_for_empty_prompt").asBoolean(true);
  }

  /** What {@code model_index.json} says; a copy. */
  ObjectNode index() {
    return index.deepCopy();
  }

  /** Where a component's files lie, whether or not there are any. */
  Path folder(Component component) {
    return path.resolve(component.folder());
  }

  /** Whether there is such a component. */
  boolean has(Component component) {
    return Files.isRegularFile(folder(component).resolve(component.configFile()))
        && (!component.hasWeights() || weightsFile(component) != null);
  }

  @Override
  public ComponentFiles files(Component component) {
    return ComponentFiles.in(folder(component));
  }

  @Override
  public TensorSource weights(Component component) {
    Path file = weightsFile(component);
    if (file == null) {
      throw noWeights(component);
    }
    return file.toString().endsWith(".json")
        ? ShardedSafetensors.open(file)
        : Safetensors.open(file);
  }

  @Override
  public void copyTo(NewFiles files, Path output, Set<Component> trained) {
    new FolderCopy(this, files, output).add(trained);
  }

  @Override
  public boolean hasWeights(Component component) {
    return component.hasWeights() && weightsFile(component) != null;
  }

  /** The file or the index of a component's weights; null where there is none. */
  @Nullable Path weightsFile(Component component) {
    return Stream.of(
            variant == null ? null : component.indexFile(variant),
            variant == null ? null : component.weightsFile(variant),
            component.indexFile(null),
            component.weightsFile(null))
        .filter(Objects::nonNull)
        .map(folder(component)::resolve)
        .filter(Files::isRegularFile)
        .findFirst()
        .orElse(null);
  }

  @Override
  public synchronized String fingerprint(Component component) {
    return fingerprints.computeIfAbsent(component, each -> Fingerprint.of(this, each));
  }

  private boolean hasWeights(Component component, @Nullable String which) {
    return component.hasWeights()
        && Stream.of(component.indexFile(which), component.weightsFile(which))
            .anyMatch(name -> Files.isRegularFile(folder(component).resolve(name)));
  }

  private Problem noWeights(Component component) {
    Path folder = folder(component);
    Path expected = folder.resolve(component.weightsFile(variant));
    if (Files.exists(expected, LinkOption.NOFOLLOW_LINKS)) {
      return Problem.data(
          "%s %s: get the model again. %s".formatted(expected, RegularFile.fault(expected), SEE));
    }
    if (Files.exists(folder) && !Files.isDirectory(folder)) {
      return Problem.data(
          "%s: expected a folder with %s, found something else. %s"
              .formatted(folder, component.weightsFile(variant), SEE));
    }
    List<String> found;
    try {
      found =
          FolderEntries.of(folder).stream()
              .map(file -> String.valueOf(file.getFileName()))
              .filter(name -> name.matches(".*\\.(safetensors|bin|ckpt|pt|pth|msgpack)"))
              .sorted()
              .toList();
    } catch (IOException e) {
      found = List.of();
    }
    String wayOut = "";
    if (found.stream().anyMatch(name -> name.endsWith(".safetensors"))) {
      wayOut = " Perhaps set variant to the word before .safetensors.";
    } else if (!found.isEmpty()) {
      wayOut =
          " Pickles are not read: download the .safetensors files, or convert with diffusers,"
              + " StableDiffusionPipeline.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER).";
    }
    return Problem.data(
        "%s: expected %s, found %s.%s %s"
            .formatted(
                folder,
                component.weightsFile(variant),
                found.isEmpty() ? "no weights" : String.join(", ", found),
                wayOut,
                SEE));
  }
}
