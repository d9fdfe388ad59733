package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;

/** A test of what is read from a config.yaml in a folder of its own. */
abstract class ConfigFile {
  @TempDir Path folder;

  Path file(String yaml) throws IOException {
    return Files.writeString(folder.resolve("config.yaml"), yaml);
  }

  Config read(String yaml) throws IOException {
    return ConfigReader.read(file(yaml), Map.of()).config();
  }

  String problem(String yaml) throws IOException {
    Path file = file(yaml);
    return problem(file, Map.of());
  }

  static String problem(@Nullable Path file, Map<String, String> flags) {
    String[] message = new String[1];
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ConfigReader.read(file, flags))
        .matches(problem -> problem.kind() == Problem.Kind.USAGE)
        .satisfies(problem -> message[0] = problem.getMessage());
    return message[0];
  }
}
