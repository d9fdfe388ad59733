package dreambooth4j.config;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What a run leaves.
 *
 * @param outputDir the diffusers folder, with samples, class images and checkpoints beside it
 * @param checkpointingSteps steps from one checkpoint to the next; 0 leaves it to
 *     saveEmbeddingEvery
 * @param saveEmbeddingEvery epochs from one checkpoint to the next; 0 leaves it to
 *     checkpointingSteps
 * @param checkpointsTotalLimit checkpoints kept, older ones are deleted; null keeps all
 * @param saveStateAfter whether a checkpoint is written at the run's end too
 * @param resumeFromCheckpoint "latest" or an absolute path; null starts anew
 * @param cacheDir where latents and prompts are kept from one run to the next; null keeps them in
 *     memory
 */
public record OutputConfig(
    Path outputDir,
    int checkpointingSteps,
    int saveEmbeddingEvery,
    @Nullable Integer checkpointsTotalLimit,
    boolean saveStateAfter,
    @Nullable String resumeFromCheckpoint,
    @Nullable Path cacheDir) {}
