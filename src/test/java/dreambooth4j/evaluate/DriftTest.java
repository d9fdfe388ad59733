package dreambooth4j.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** The numbers of a prompt, by their definition. */
class DriftTest {
  private static float[] drawn(SplittableRandom random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  @Test
  void shouldBeZeroForAModelThatWasNotChangedAndOneForTheSubject() {
    SplittableRandom random = new SplittableRandom(1);
    Drift same = new Drift(4);
    Drift all = new Drift(4);
    for (int step = 0; step < 3; step++) {
      float[] base = drawn(random, 40);
      float[] subject = drawn(random, 40);
      same.add(base, base, subject);
      all.add(base, subject, subject);
    }
    Interval nothing = new Interval(0, 0, 0);
    Interval one = new Interval(1, 1, 1);
    assertThat(List.of(same.bleed(), same.towards(), same.moved(all), same.change()))
        .containsOnly(nothing);
    assertThat(List.of(all.bleed(), all.towards(), all.moved(all))).containsOnly(one);
    assertThat(new Drift(2).bleed()).isEqualTo(nothing);
  }

  /** Half of the way to the subject and as far to the side. */
  @Test
  void shouldTellTheWayToTheSubjectFromOthers() {
    Drift drift = new Drift(1);
    drift.add(new float[] {1, 1}, new float[] {2, 2}, new float[] {3, 1});
    assertThat(drift.bleed().value()).isCloseTo(Math.sqrt(0.5), within(1e-12));
    assertThat(drift.towards().value()).isCloseTo(0.5, within(1e-12));
    assertThat(drift.change().value()).isCloseTo(1, within(1e-12));
    Drift subject = new Drift(1);
    subject.add(new float[] {0, 0}, new float[] {3, 4}, new float[] {3, 4});
    assertThat(drift.moved(subject).value()).isCloseTo(Math.sqrt(2) / 5, within(1e-12));
  }

  /** Of seeds at 0.2 and 0.6 the mean is in between, and either can be drawn alone. */
  @Test
  void shouldSpanWhatOtherSeedsMayGive() {
    Drift drift = new Drift(2);
    drift.add(new float[] {0, 0}, new float[] {0.2f, 0.6f}, new float[] {1, 1});
    Interval towards = drift.towards();
    assertThat(towards.value()).isCloseTo(0.4, within(1e-6));
    assertThat(towards.low()).isCloseTo(0.2, within(1e-6));
    assertThat(towards.high()).isCloseTo(0.6, within(1e-6));
    assertThat(drift.towards()).isEqualTo(towards); // the same samples each time
  }

  @Test
  void shouldMeasurePicturesByTheirFeatures() {
    List<float[]> base = List.of(new float[] {1, 0}, new float[] {1, 0.1f});
    List<float[]> subject = List.of(new float[] {0, 1}, new float[] {0, 2});
    assertThat(Likenesses.towards(base, base, subject)).isEqualTo(new Interval(0, 0, 0));
    assertThat(Likenesses.towards(base, subject, subject).value()).isCloseTo(1, within(1e-12));
    assertThat(Likenesses.variety(subject)).isCloseTo(0, within(1e-12));
    assertThat(Likenesses.variety(List.of(base.get(0), subject.get(0)))).isEqualTo(1);
    assertThat(Likenesses.variety(base.subList(0, 1))).isZero();
    assertThat(Likenesses.likeness(subject, List.of(new float[] {1, 1})))
        .isCloseTo(Math.sqrt(0.5), within(1e-12));
  }
}
