package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.JsonFault;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Set;

/** JSON files of a model: small, one object each, and not trusted. */
public final class JsonFile {
  /** A tokenizer has 4 MB; a tree of so many bytes fits into half a gigabyte whatever they say. */
  private static final int LONGEST_TOKENIZER = 16 << 20;

  /** A configuration has some KB, the index of weights in several files some hundred. */
  private static final int LONGEST = 2 << 20;

  private static final Set<String> OF_TOKENIZERS = Set.of("tokenizer.json", "vocab.json");

  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private JsonFile() {}

  /**
   * The object that a file holds.
   *
   * @throws Problem when there is no such file, it is larger than any of its kind, or it holds
   *     anything else
   */
  public static ObjectNode read(Path file) {
    if (Files.notExists(file, LinkOption.NOFOLLOW_LINKS)) {
      throw Problem.data(file + ": expected a JSON file, found none");
    }
    try {
      JsonNode root = MAPPER.readTree(RegularFile.bytes(file, most(file)));
      if (root instanceof ObjectNode object) {
        return object;
      }
      throw Problem.data(file + ": expected a JSON object, found " + root.getNodeType());
    } catch (JsonProcessingException e) {
      throw new Problem(Problem.Kind.DATA, file + ": not valid JSON: " + why(e), e);
    } catch (IOException e) {
      throw Unreadable.file(file, e);
    }
  }

  private static int most(Path file) {
    return OF_TOKENIZERS.contains(String.valueOf(file.getFileName())) ? LONGEST_TOKENIZER : LONGEST;
  }

  /** What is wrong with a JSON text and where, without the library's notes on its source. */
  static String why(JsonProcessingException e) {
    JsonLocation at = e.getLocation();
    return JsonFault.why(e)
        + (at == null ? "" : ", line %d, column %d".formatted(at.getLineNr(), at.getColumnNr()));
  }
}
