package dreambooth4j.engine;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * What being off by d costs in one element. All but the first count large errors less than their
 * square; c is a threshold above 0 that each timestep may have for itself. {@code prior_loss.cu}
 * has the same formulas.
 */
public enum LossForm {
  /** d². */
  SQUARED(0) {
    @Override
    public Tensor cost(Tensor d, Tensor c) {
      return d.mul(d);
    }

    @Override
    public Tensor slope(Tensor d, Tensor c) {
      return d.mul(new Scalar(2));
    }
  },
  /** 2c(√(d² + c²) − c), kohya's pseudo-Huber loss. */
  HUBER(1) {
    @Override
    public Tensor cost(Tensor d, Tensor c) {
      return SMOOTH_L1.cost(d, c).mul_(c);
    }

    @Override
    public Tensor slope(Tensor d, Tensor c) {
      return SMOOTH_L1.slope(d, c).mul_(c);
    }
  },
  /** 2(√(d² + c²) − c), kohya's smooth L1. */
  SMOOTH_L1(2) {
    @Override
    public Tensor cost(Tensor d, Tensor c) {
      // The root less c, without their cancelling where d is small.
      Tensor squares = d.mul(d);
      return squares.div(root(d, c).add_(c)).mul_(new Scalar(2));
    }

    @Override
    public Tensor slope(Tensor d, Tensor c) {
      return d.div(root(d, c)).mul_(new Scalar(2));
    }
  },
  /** |d|. */
  ABSOLUTE(3) {
    @Override
    public Tensor cost(Tensor d, Tensor c) {
      return d.abs();
    }

    @Override
    public Tensor slope(Tensor d, Tensor c) {
      return d.sign();
    }
  },
  /** ln cosh d. */
  LOG_COSH(4) {
    @Override
    public Tensor cost(Tensor d, Tensor c) {
      Tensor size = d.abs();
      return size.add(size.mul(new Scalar(-2)).exp_().log1p_()).sub_(new Scalar(Math.log(2)));
    }

    @Override
    public Tensor slope(Tensor d, Tensor c) {
      return d.tanh();
    }
  },
  /** Huber's own: d²/2 up to c, and a straight line c(|d| − c/2) beyond. */
  CLASSIC_HUBER(5) {
    @Override
    public Tensor cost(Tensor d, Tensor c) {
      Tensor size = d.abs();
      Tensor least = torch.minimum(size, c);
      return size.sub_(least.mul(new Scalar(0.5))).mul_(least);
    }

    @Override
    public Tensor slope(Tensor d, Tensor c) {
      return d.sign().mul_(torch.minimum(d.abs(), c));
    }
  };

  /** Its number in {@code prior_loss.cu}. */
  public final int kernelForm;

  LossForm(int kernelForm) {
    this.kernelForm = kernelForm;
  }

  private static Tensor root(Tensor d, Tensor c) {
    return d.mul(d).add_(c.mul(c)).sqrt_();
  }

  /** What it costs: a new tensor as d; {@code c} is one number a row. In a {@link Native} call. */
  public abstract Tensor cost(Tensor d, Tensor c);

  /** Its derivative by d, likewise. */
  public abstract Tensor slope(Tensor d, Tensor c);
}
