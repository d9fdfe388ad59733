package dreambooth4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class EstimateTest {
  @Test
  void shouldGiveStudentsIntervalOfThreeValues() {
    Estimate estimate = Estimate.of(List.of(1.0, 2.0, 3.0));

    // standard deviation 1, t of 2 degrees of freedom 4.302653: 4.302653 / sqrt(3)
    assertThat(estimate.mean()).isEqualTo(2, within(1e-12));
    assertThat(estimate.half()).isEqualTo(2.484138, within(1e-6));
    assertThat(estimate.count()).isEqualTo(3);
  }

  @Test
  void shouldGiveStudentsIntervalOfFourValues() {
    Estimate estimate = Estimate.of(List.of(0.1, 0.2, 0.4, 0.5));

    // sum of squares 0.1, standard deviation sqrt(0.1 / 3), t of 3 degrees of freedom 3.182446
    assertThat(estimate.mean()).isEqualTo(0.3, within(1e-12));
    assertThat(estimate.half()).isEqualTo(0.290516, within(1e-6));
  }

  @Test
  void shouldLeaveOutWhatIsNoNumber() {
    assertThat(Estimate.of(List.of(1.0, Double.NaN, 3.0)))
        .isEqualTo(Estimate.of(List.of(1.0, 3.0)));
    assertThat(Estimate.of(List.of(Double.NaN)).count()).isZero();
  }

  @Test
  void shouldHaveNoIntervalOfOneValue() {
    Estimate estimate = Estimate.of(List.of(0.25));

    assertThat(estimate.half()).isNaN();
    assertThat(estimate.sign()).isZero();
    assertThat(estimate).hasToString("0.25");
  }

  @Test
  void shouldHaveASignWhereTheIntervalLiesOnOneSideOf0() {
    assertThat(new Estimate(0.3, 0.2, 4).sign()).isEqualTo(1);
    assertThat(new Estimate(-0.3, 0.2, 4).sign()).isEqualTo(-1);
    assertThat(new Estimate(0.3, 0.3, 4).sign()).isZero();
    assertThat(new Estimate(-0.1, 0.2, 4).sign()).isZero();
  }

  @Test
  void shouldPrintTwoDigitsAndATrueMinus() {
    assertThat(new Estimate(-0.076, 0.0449, 4)).hasToString("−0.08 ± 0.04");
    assertThat(new Estimate(-0.004, 0.02, 4)).hasToString("0.00 ± 0.02");
    assertThat(Estimate.of(List.of())).hasToString("–");
  }
}
