package dreambooth4j.prior;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How a class image was made, written beside it as {@code .json}.
 *
 * @param sampler its name, or the class of the base model's own
 * @param model names the weights of the base model, as {@link BaseModel#fingerprint} does
 */
public record ClassImageRecord(
    String prompt,
    String negative,
    long seed,
    String sampler,
    int steps,
    double guidance,
    int width,
    int height,
    String model) {
  private static final int MOST_BYTES = 1 << 20;

  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .build();

  /** The record beside a picture; null if there is none, or none of ours. */
  static @Nullable ClassImageRecord beside(Path picture) {
    Path file = file(picture);
    try {
      return Files.isRegularFile(file)
          ? MAPPER.readValue(RegularFile.bytes(file, MOST_BYTES), ClassImageRecord.class)
          : null;
    } catch (IOException | Problem e) {
      return null;
    }
  }

  /** Where the record of a picture lies. */
  static Path file(Path picture) {
    String name = String.valueOf(picture.getFileName());
    return picture.resolveSibling(name.replaceFirst("\\.[^.]*$", "") + ".json");
  }

  /** The record as JSON. */
  byte[] json() {
    try {
      return MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(this);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
