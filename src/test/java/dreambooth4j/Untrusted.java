package dreambooth4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;

/**
 * Files of any content for the fuzz tests. A reader gives a result or a {@link Problem} that names
 * the file in a few words; any other exception, and memory that runs out, is a fault of ours.
 *
 * <p>{@code ./mvnw test -Pfuzz} fuzzes each reader for {@code -Dfuzz.seconds}; an ordinary build
 * runs the seeds, and the inputs that found something, from {@code <test>Inputs} in the resources.
 */
public final class Untrusted {
  private static final Path FOLDER = folder();

  private Untrusted() {}

  /** Gives a reader a file of this name and content. */
  public static void read(String name, byte[] content, Consumer<Path> reader) {
    Path file = FOLDER.resolve(name);
    try {
      Files.write(file, content);
      reader.accept(file);
    } catch (Problem problem) {
      assertThat(problem).hasMessageContaining(name).hasMessageNotContaining("REDACTED");
      assertThat(problem.getMessage()).hasSizeLessThan(10_000);
      for (Throwable cause = problem; cause != null; cause = cause.getCause()) {
        assertThat(cause).as(problem.getMessage()).isNotInstanceOf(Error.class);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Path folder() {
    try {
      Path folder = Files.createTempDirectory("untrusted");
      folder.toFile().deleteOnExit();
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
