package dreambooth4j.prior;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.BooleanSupplier;

/**
 * Class images made anew every few epochs, so that a run sees more of what the base model draws
 * than lies on the disk at once. Generation 0 is what the run began with. Generation g has as many
 * as the plan asks for, from seeds of its own, in {@code <output_dir>/class_images-<g>/<concept>};
 * when it is whole, those before it are removed. It is a function of seed and g: a resumed run
 * makes again what it lacks. Folders that are used whole stay as they are.
 */
public final class FreshClassImages {
  private static final String OURS = "[0-9a-f]{40}\\.(png|txt|json)";

  private final Config config;
  private final List<Concept> concepts;
  private final ModelSource base;

  /** For a run of these concepts; the pictures are made by {@code base}. */
  public FreshClassImages(Config config, List<Concept> concepts, ModelSource base) {
    this.config = config;
    this.concepts = concepts;
    this.base = base;
  }

  private Path folder(int generation) {
    return config.output().outputDir().resolve("class_images-" + generation);
  }

  private ClassImagePlan plan(int generation) {
    List<Concept> moved =
        concepts.stream()
            .map(each -> each.withClassFolder(folder(generation).resolve(each.config().name())))
            .toList();
    return ClassImagePlan.of(config, moved);
  }

  /**
   * Makes what a generation lacks. The base model is read for it and freed again, beside what is in
   * memory already: what trains is not the base model any more.
   *
   * @param run whose limit the base model heeds too
   * @param generation from 1
   * @param stop true leaves the rest for another time: the plan then misses some
   * @param ranks each makes a share
   */
  public ClassImagePlan make(
      Arena run,
      int generation,
      ClassImageGenerator.Listener listener,
      BooleanSupplier stop,
      Ranks ranks) {
    ClassImagePlan plan = plan(generation);
    ranks.await(); // all have the same plan before the first picture is there
    if (plan.missing() > 0) {
      try (Arena arena = run.child("class images");
          StableDiffusion model = StableDiffusion.loadToDraw(arena, base, config.compute())) {
        new ClassImageGenerator(config, base, model, generation)
            .generate(arena, plan, listener, stop, ranks);
      }
      ranks.await();
      plan = plan(generation);
    }
    return plan;
  }

  /**
   * Removes the generations before one that is whole.
   *
   * @throws Problem when that cannot be done; they take space and nothing else
   */
  public void removeBefore(int generation) {
    for (int old = generation - 1; old > 0 && Files.isDirectory(folder(old)); old--) {
      remove(folder(old));
    }
  }

  /** Removes the pictures of a generation, and its folders unless something else lies there. */
  private void remove(Path generation) {
    for (Concept each : concepts) {
      Path dir = generation.resolve(each.config().name());
      if (Files.isDirectory(dir)) {
        try {
          for (Path file : FolderEntries.of(dir)) {
            if (String.valueOf(file.getFileName()).matches(OURS)) {
              Files.delete(file);
            }
          }
          Files.delete(dir);
        } catch (DirectoryNotEmptyException e) {
          // What else lies there is not ours to remove.
        } catch (IOException e) {
          throw Problem.data(dir + " cannot be removed: " + Problem.why(e));
        }
      }
    }
    try {
      Files.deleteIfExists(generation);
    } catch (IOException e) {
      // As above.
    }
  }
}
