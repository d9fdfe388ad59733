package dreambooth4j.data;

import java.nio.file.Path;

/**
 * One class image.
 *
 * @param prompt what it is trained with
 * @param repeats how often it comes before all others of its pool have come once
 */
public record ClassImage(Path file, String prompt, int repeats) {}
