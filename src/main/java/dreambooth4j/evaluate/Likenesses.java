package dreambooth4j.evaluate;

import java.util.List;

/**
 * How alike pictures are by the cosine of their features, and what follows from it. Each list has
 * one vector a picture, of the same seeds in the same order.
 */
final class Likenesses {
  private Likenesses() {}

  /**
   * How far pictures of a prompt moved towards the subject: with c the mean cosine to the mean
   * features of the trained model's pictures of the subject, (c(trained) − c(base)) / (c(subject) −
   * c(base)). 0 where the pictures did not change, 1 where they are those of the subject.
   */
  static Interval towards(List<float[]> base, List<float[]> trained, List<float[]> subject) {
    float[] centre = mean(subject);
    return Interval.over(
        base.size(),
        seeds -> {
          double before = 0;
          double after = 0;
          double whole = 0;
          for (int seed : seeds) {
            before += cosine(base.get(seed), centre);
            after += cosine(trained.get(seed), centre);
            whole += cosine(subject.get(seed), centre);
          }
          return after == before ? 0 : (after - before) / (whole - before);
        });
  }

  /**
   * Variety: the mean distance, 1 − cosine, of all pairs of pictures of one prompt. DIV of Ruiz et
   * al. 2022 (arXiv:2208.12242, section 4.3) is the same mean by LPIPS, of pictures of the subject
   * alone, all of one prompt.
   */
  static double variety(List<float[]> pictures) {
    double sum = 0;
    int pairs = 0;
    for (int i = 0; i < pictures.size(); i++) {
      for (int k = 0; k < i; k++) {
        sum += 1 - cosine(pictures.get(i), pictures.get(k));
        pairs++;
      }
    }
    return pairs == 0 ? 0 : sum / pairs;
  }

  /**
   * The mean cosine of all pairs of a drawn picture and a real one of the subject. Of pictures of
   * the class it is PRES of Ruiz et al. 2022 (section 4.3) but for the features, which there are
   * DINO's: the higher, the more the class has become the subject.
   */
  static double likeness(List<float[]> drawn, List<float[]> real) {
    double sum = 0;
    for (float[] one : drawn) {
      for (float[] other : real) {
        sum += cosine(one, other);
      }
    }
    return sum / Math.max(1, drawn.size() * real.size());
  }

  /** The mean of the vectors at their unit length. */
  private static float[] mean(List<float[]> vectors) {
    float[] sum = new float[vectors.get(0).length];
    for (float[] each : vectors) {
      double length = Math.sqrt(product(each, each));
      for (int i = 0; i < sum.length && length > 0; i++) {
        sum[i] += (float) (each[i] / length);
      }
    }
    return sum;
  }

  static double cosine(float[] a, float[] b) {
    double lengths = Math.sqrt(product(a, a)) * Math.sqrt(product(b, b));
    return lengths == 0 ? 0 : product(a, b) / lengths;
  }

  private static double product(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }
}
