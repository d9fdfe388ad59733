package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.kernel.StandIn;
import dreambooth4j.engine.op.CountedBackend;
import dreambooth4j.model.UNetConfig;
import java.io.IOException;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Whole captured steps through libtorch's real GPU part, on a device that computes nothing: every
 * call that a GPU would get is made, and what a capture forbids is refused.
 */
@Tag("rehearse")
class RehearsalTest {
  @BeforeAll
  static void load() throws IOException, InterruptedException {
    assumeTrue(StandIn.available(), "libtorch is the CPU's here, or g++ is not installed");
    StandIn.load();
  }

  @BeforeEach
  void forget() {
    StandIn.forget();
  }

  /** What a dry step is counted to launch is what libtorch launches. */
  @Test
  void shouldCaptureAStepOfWhatIsCountedDry() throws IOException {
    UNetConfig narrow = LaunchCensus.stableDiffusion(5);
    LaunchCensus captured = LaunchCensus.captured(narrow, CountedBackend.flash());
    StandIn.Report report = StandIn.report();
    assertThat(report.violations()).isEmpty();
    assertThat(report.astray()).isEmpty();
    captured.nodes().remove(LaunchCensus.COUNTERS);
    String counted = LaunchCensus.dry(narrow).table();
    System.out.println(counted);
    assertThat(captured.table()).isEqualTo(counted);
  }

  /** Three shapes of batches with one pool, and the attentions that a trial finds fastest. */
  @Test
  void shouldTakeNoMoreMemoryInReplays() {
    CapturedCheck.flatMemory();
    assertThat(StandIn.report().violations()).isEmpty();
    assertThat(StandIn.report().astray()).isEmpty();
  }
}
