package dreambooth4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NearestTest {
  @TempDir Path folder;

  @Test
  void shouldFindTheKeyThatWasMeant() {
    List<String> keys = List.of("learning_rate", "max_train_steps", "resolution");
    assertThat(Nearest.word("max-trian-steps", keys)).contains("max_train_steps");
    assertThat(Nearest.word("wandb", keys)).isEmpty();
    assertThat(Nearest.word("resolution".repeat(9), keys)).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "none",
      value = {
        "pictrues/dog, pictures/dog",
        "Pictures/Dog, pictures/dog",
        "picturs/dog/01.jpg, pictures/dog/01.jpg",
        "pictures/dgo, none",
        "pictures/cat, none",
        "models/dog, none",
        "x, none"
      })
  void shouldFindThePathThatWasMeant(String mistyped, String meant) throws IOException {
    Files.createDirectories(folder.resolve("pictures/dog"));
    Files.writeString(folder.resolve("pictures/dog/01.jpg"), "");
    assertThat(Nearest.path(folder.resolve(mistyped)).map(path -> folder.relativize(path)))
        .isEqualTo(Optional.ofNullable(meant).map(Path::of));
  }

  @Test
  void shouldKeepARelativePathRelative() {
    assertThat(Nearest.path(Path.of("wieghts", "sprites64")))
        .contains(Path.of("weights", "sprites64"));
    assertThat(Nearest.hint(Path.of("pom.xlm"))).isEqualTo("; did you mean pom.xml?");
  }
}
