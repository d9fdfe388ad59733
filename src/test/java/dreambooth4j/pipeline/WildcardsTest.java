package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WildcardsTest {
  @TempDir private Path folder;

  private Set<String> drawn(String prompt) {
    Set<String> all = new TreeSet<>();
    for (int seed = 0; seed < 100; seed++) {
      all.add(Wildcards.drawn(prompt, folder, seed, 0));
    }
    return all;
  }

  @Test
  void shouldDrawEachPossibilityAndTheSameForASeed() throws IOException {
    Files.writeString(folder.resolve("colour.txt"), "# colours\nred\n\nblue\n{dark|light} green\n");
    assertThat(drawn("a {cat|old {dog|fox}}")).containsExactly("a cat", "a old dog", "a old fox");
    assertThat(drawn("__colour__ hat"))
        .containsExactly("blue hat", "dark green hat", "light green hat", "red hat");
    String prompt = "{a|b|c} {d|e|f} __colour__";
    assertThat(Wildcards.drawn(prompt, folder, 7, 0))
        .isEqualTo(Wildcards.drawn(prompt, folder, 7, 0));
    assertThat(drawn("{plain} words, a__b")).containsExactly("{plain} words, a__b");
  }

  @Test
  void shouldSayWhatIsMissing() throws IOException {
    Files.writeString(folder.resolve("self.txt"), "x __self__\n");
    Files.writeString(folder.resolve("empty.txt"), "\n# nothing\n");
    for (String[] each :
        new String[][] {
          {"__self__", "never end"}, {"__empty__", "is empty"}, {"__none__", "which is not there"}
        }) {
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> Wildcards.drawn(each[0], folder, 1, 0))
          .withMessageContaining(each[1]);
    }
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> Wildcards.drawn("__a__", null, 1, 0))
        .withMessageContaining("name the folder");
  }
}
