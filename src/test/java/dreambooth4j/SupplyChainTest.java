package dreambooth4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import org.junit.jupiter.api.Test;

/** What a build takes from elsewhere is checked, and what it gives can be built again. */
class SupplyChainTest {
  @Test
  void shouldTakeNoMavenWithoutItsChecksum() throws IOException {
    Properties wrapper = new Properties();
    try (InputStream in = Files.newInputStream(Path.of(".mvn/wrapper/maven-wrapper.properties"))) {
      wrapper.load(in);
    }
    assertThat(wrapper.getProperty("distributionSha256Sum")).matches("[0-9a-f]{64}");
    assertThat(wrapper.getProperty("distributionUrl")).startsWith("https://");
  }

  @Test
  void shouldStopWhereAChecksumIsWrong() throws IOException {
    assertThat(Files.readAllLines(Path.of(".mvn/maven.config"))).contains("-C");
  }

  @Test
  void shouldMakeAJarThatHasItsLicenceAndCanBeMadeAgain() throws IOException {
    String pom = Files.readString(Path.of("pom.xml"));
    assertThat(pom).containsPattern("<project.build.outputTimestamp>\\d{4}-");
    for (String file : List.of("LICENSE", "NOTICE")) {
      assertThat(pom).contains("<include>" + file + "</include>");
      assertThat(Path.of(file)).isNotEmptyFile();
    }
  }

  @Test
  void shouldLeaveOutWhatTheServerDoesNotNeed() throws IOException {
    assertThat(Files.readString(Path.of("pom.xml")))
        .contains("<artifactId>jetty-ee10-annotations</artifactId>");
  }
}
