package dreambooth4j.report;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What a run has left on disk.
 *
 * @param name of its first concept
 * @param prompt one that its first concept was trained with or sampled by
 * @param sampled whether there are samples
 * @param pageWritten whether there is a page of class images
 * @param result the model's folder or the file of adapters; null where none was saved
 * @param checkpointSaved whether there is a checkpoint that a run can go on from
 */
public record RunOutcome(
    String name,
    String prompt,
    boolean sampled,
    boolean pageWritten,
    @Nullable Path result,
    boolean checkpointSaved) {
  RunOutcome withSamples() {
    return new RunOutcome(name, prompt, true, pageWritten, result, checkpointSaved);
  }

  RunOutcome withPage() {
    return new RunOutcome(name, prompt, sampled, true, result, checkpointSaved);
  }

  RunOutcome withCheckpoint() {
    return new RunOutcome(name, prompt, sampled, pageWritten, result, true);
  }

  RunOutcome with(Path saved) {
    return new RunOutcome(name, prompt, sampled, pageWritten, saved, checkpointSaved);
  }
}
