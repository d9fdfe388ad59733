package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.kernel.Emulator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What the graph of a whole step of Stable Diffusion 1.5 will hold on a GPU, counted where there is
 * none: the step is run dry, as a memory plan runs it, and whatever would be launched is counted.
 */
@Tag("kernels")
class LaunchBudgetTest {
  /** The most nodes that a step may have. Whoever needs fewer lowers it. */
  private static final int BUDGET = 1_531;

  private static final Path PAGE = Path.of("docs", "kernels.md");
  private static final String BEGIN = "<!-- launches: written by LaunchBudgetTest -->\n";
  private static final String END = "<!-- end of launches -->\n";

  @Test
  void shouldLaunchNoMoreInAStepThanItsBudget() throws IOException {
    assumeTrue(Emulator.available(), "g++ is not installed");
    LaunchCensus census = LaunchCensus.dry(LaunchCensus.stableDiffusion(1));
    assertThat(census.total()).as(census.table()).isBetween(BUDGET / 2, BUDGET);
    String page = Files.readString(PAGE);
    int from = page.indexOf(BEGIN) + BEGIN.length();
    int to = page.indexOf(END);
    if (System.getenv("DOCS_WRITE") != null) {
      Files.writeString(PAGE, page.substring(0, from) + census.table() + page.substring(to));
      return;
    }
    assertThat(page.substring(from, to))
        .as("run: DOCS_WRITE=1 ./mvnw -Pkernels test -Dtest=LaunchBudgetTest")
        .isEqualTo(census.table());
  }
}
