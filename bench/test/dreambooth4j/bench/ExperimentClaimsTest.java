package dreambooth4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.bench.ExperimentClaims.Evidence;
import dreambooth4j.bench.ExperimentMeasures.Word;
import java.util.List;
import org.junit.jupiter.api.Test;

class ExperimentClaimsTest {
  private static final Estimate ABOVE = new Estimate(0.2, 0.1, 4);
  private static final Estimate BELOW = new Estimate(-0.2, 0.1, 4);
  private static final Estimate UNCLEAR = new Estimate(0.2, 0.3, 4);

  private static String verdict(Estimate measured, int expected) {
    return new Evidence("what", measured, expected).verdict();
  }

  @Test
  void shouldSupportAClaimWhoseSideTheIntervalLiesOn() {
    assertThat(verdict(ABOVE, ExperimentClaims.SUPPORTED_ABOVE)).isEqualTo("supports it");
    assertThat(verdict(BELOW, ExperimentClaims.SUPPORTED_BELOW)).isEqualTo("supports it");
  }

  @Test
  void shouldContradictAClaimWhoseOtherSideTheIntervalLiesOn() {
    assertThat(verdict(BELOW, ExperimentClaims.SUPPORTED_ABOVE)).isEqualTo("contradicts it");
    assertThat(verdict(ABOVE, ExperimentClaims.SUPPORTED_BELOW)).isEqualTo("contradicts it");
    assertThat(verdict(ABOVE, ExperimentClaims.SUPPORTED_AT_0)).isEqualTo("contradicts it");
  }

  @Test
  void shouldDecideNothingWhereTheIntervalHolds0() {
    assertThat(verdict(UNCLEAR, ExperimentClaims.SUPPORTED_ABOVE)).isEqualTo("undecided");
    assertThat(verdict(UNCLEAR, ExperimentClaims.SUPPORTED_AT_0)).isEqualTo("no difference found");
    assertThat(verdict(UNCLEAR, ExperimentClaims.NO_VERDICT)).isEqualTo("no difference found");
    assertThat(verdict(ABOVE, ExperimentClaims.NO_VERDICT)).isEqualTo("a difference");
  }

  @Test
  void shouldSayWhereThereIsNoInterval() {
    Estimate one = Estimate.of(List.of(0.4));

    assertThat(verdict(one, ExperimentClaims.SUPPORTED_ABOVE)).isEqualTo("not measured");
  }

  @Test
  void shouldCountWordsThatMoved() {
    Word red = new Word("santa", "red", 2, 100, new Estimate(0.3, 0.1, 3));
    Word fur = new Word("santa", "fur", 2, 0, new Estimate(0.2, 0.1, 3));
    Word blue = new Word("toy", "blue", 1, 10, new Estimate(-0.1, 0.1, 3));

    Evidence all = Evidence.counted("words", List.of(red, fur), "supports it");
    assertThat(all.measured()).isEqualTo("2 of 2; the least 0.20 (fur, of santa)");
    assertThat(all.verdict()).isEqualTo("supports it");
    Evidence some = Evidence.counted("words", List.of(red, blue), "supports it");
    assertThat(some.measured()).isEqualTo("1 of 2; the least −0.10 (blue, of toy)");
    assertThat(some.verdict()).isEqualTo("not all");
  }
}
