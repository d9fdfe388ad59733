package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.NodeList;

/** What {@code ./mvnw -Pdist package} packs of a checkout. */
class ArchiveTest {
  private static final Path DESCRIPTOR = Path.of("src/assembly/archive.xml");

  /** The patterns of the first set of files, which is the checkout's. */
  private static List<String> packed() throws Exception {
    NodeList includes =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(DESCRIPTOR.toFile())
            .getElementsByTagName("includes")
            .item(0)
            .getChildNodes();
    List<String> patterns = new ArrayList<>();
    for (int i = 0; i < includes.getLength(); i++) {
      if (includes.item(i).getNodeName().equals("include")) {
        patterns.add(includes.item(i).getTextContent());
      }
    }
    return patterns;
  }

  private static Predicate<String> matcher(List<String> patterns) {
    return file ->
        patterns.stream()
            .map(pattern -> FileSystems.getDefault().getPathMatcher("glob:" + pattern))
            .anyMatch(each -> each.matches(Path.of(file)));
  }

  private static List<String> tracked(String... folders) throws IOException, InterruptedException {
    assumeTrue(Files.exists(Path.of(".git")), "no checkout");
    List<String> command = new ArrayList<>(List.of("git", "ls-files", "-z"));
    command.addAll(List.of(folders));
    Process git = new ProcessBuilder(command).start();
    String all = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(git.waitFor()).isZero();
    return List.of(all.split("\0", -1)).stream().filter(each -> !each.isEmpty()).toList();
  }

  @Test
  void shouldPackAllThatTheRepositoryHasOfModelsExamplesAndPages() throws Exception {
    assertThat(tracked("weights", "src/examples", "docs", "src/main/launcher"))
        .isNotEmpty()
        .allMatch(matcher(packed()));
  }

  @Test
  void shouldPackNothingThatSomebodyPutBesideThem() throws Exception {
    assertThat(
            List.of(
                "weights/mine/unet/diffusion_pytorch_model.safetensors",
                "weights/sprites64/unet/other.safetensors",
                "src/examples/santa/images/09.jpg",
                "src/examples/mine/config.yaml",
                "docs/images/me.png"))
        .noneMatch(matcher(packed()));
    assertThat(packed())
        .filteredOn(pattern -> !pattern.contains("*"))
        .allSatisfy(file -> assertThat(Path.of(file)).exists());
  }
}
