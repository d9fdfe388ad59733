package dreambooth4j.diffusion;

/**
 * What the network's output means. With x = α·x₀ + σ·ε and α² + σ² = 1, sample and output together
 * give the picture and the noise; both are linear in them, and so is every step of a sampler.
 */
public enum Prediction {
  /** The output is the noise ε. */
  EPSILON {
    @Override
    Mix picture(double alpha, double sigma) {
      return new Mix(1 / alpha, -sigma / alpha);
    }

    @Override
    Mix noise(double alpha, double sigma) {
      return new Mix(0, 1);
    }
  },
  /** The output is the velocity v = α·ε − σ·x₀ (Salimans and Ho, 2022). */
  VELOCITY {
    @Override
    Mix picture(double alpha, double sigma) {
      return new Mix(alpha, -sigma);
    }

    @Override
    Mix noise(double alpha, double sigma) {
      return new Mix(sigma, alpha);
    }
  };

  /** Weights for the sample x and for the network's output. */
  record Mix(double sample, double output) {
    Mix times(double factor) {
      return new Mix(factor * sample, factor * output);
    }

    Mix plus(Mix other) {
      return new Mix(sample + other.sample, output + other.output);
    }
  }

  /** The mix that gives x₀. */
  abstract Mix picture(double alpha, double sigma);

  /** The mix that gives ε. */
  abstract Mix noise(double alpha, double sigma);

  /**
   * The mix that gives the same picture with the same noise at another noise level: from ᾱ = {@code
   * from} to ᾱ = {@code to} (DDIM without fresh noise, Song et al. 2021, equation 12).
   */
  Mix transfer(double from, double to) {
    double alpha = Math.sqrt(from);
    double sigma = Math.sqrt(1 - from);
    return picture(alpha, sigma)
        .times(Math.sqrt(to))
        .plus(noise(alpha, sigma).times(Math.sqrt(1 - to)));
  }

  static Prediction of(SchedulerConfig config) {
    return switch (config.text("prediction_type", "epsilon")) {
      case "epsilon" -> EPSILON;
      case "v_prediction" -> VELOCITY;
      default -> throw config.unsupported("prediction_type");
    };
  }
}
